import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { type ActionCall, type ActionPort, isSettled, type Run, type RunStatus } from '#actions/port.ts'
import type { Chat } from '#chat/chat.ts'
import { createChat } from '#chat/create.ts'
import type { TurnEvent } from '#chat/turn-events.ts'
import type { ConfigVersion } from '#config/document.ts'
import type { Conversations } from '#conversations/conversations.ts'
import { createConversations } from '#conversations/create.ts'
import { createAdmission } from '#governance/admission.ts'
import type { Principal } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import { createLog } from '#log.ts'
import type { Answer, AnswerRequest, ChatMessage, Segment } from '#models/answer.ts'
import type { Models } from '#models/models.ts'
import type { Clock } from '#platform/clock.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { chatConfig } from './chat-config.ts'
import { type ManualClock, manualClock } from './clock.ts'
import { type UnreachableKv, unreachableKv } from './unreachable-kv.ts'

export const LEASE_MS = 10_000

/** What a model says when it is asked: text, and perhaps calls of actions. */
export interface Say {
  text?: string
  calls?: readonly { name: string; arguments: string }[]
}

/** A replica's chat, over a store that several may share, with models and actions that are played by hand. */
export interface ChatAtHand extends AsyncDisposable {
  chat: Chat
  clock: ManualClock
  store: Kv
  reach: UnreachableKv['reach']
  conversations: Conversations
  actions: ActionsAtHand
  /** The prompts that models were asked with. */
  asked: (readonly ChatMessage[])[]
  /** Starts a turn that stands alone; its events are gathered as they come. */
  begin(message: string): Promise<{ turn: string; events: TurnEvent[]; ended: Promise<void> }>
  pass(ms: number): Promise<void>
}

export interface ChatAtHandOptions {
  /** Answer by answer; when there are no more, the model says nothing. */
  say?: (Say | Promise<Say>)[]
  /** That of another replica, with its clock and its keys. */
  sharing?: Pick<ChatAtHand, 'store' | 'clock' | 'conversations'>
}

export const somebody: Principal = {
  tenant: 'home',
  id: 'somebody',
  name: 'Somebody',
  kind: 'user',
  roles: [],
  scopes: [],
}

export async function chatAtHand({ say = [], sharing }: ChatAtHandOptions): Promise<ChatAtHand> {
  const clock = sharing?.clock ?? manualClock()
  const log = createLog('silent')
  const store = sharing?.store ?? createKv(new SqliteEngine({ path: ':memory:', clock, log }))
  const { kv, reach } = unreachableKv(store)
  const masterKeys = { source: 'environment' as const, keys: [{ id: 'test', key: randomBytes(32) }] }
  const conversations =
    sharing?.conversations ?? (await createConversations({ kv: store, masterKeys, idleMs: 1e9, clock }))
  const actions = actionsAtHand(clock)
  const asked: (readonly ChatMessage[])[] = []
  const config: ConfigVersion = { name: 'v1', hash: 'none', document: chatConfig({ only: model }) }
  const chat = createChat({
    kv,
    clock,
    log,
    models: modelsThatSay(say, asked),
    actions: actions.port,
    conversations,
    configs: { get: () => config, current: () => config },
    replica: newId('rep'),
    leaseMs: LEASE_MS,
    conversationIdleMs: 1e9,
    admission: createAdmission({ atOnce: 100 }),
    assign: () => ({ config, arm: 'stable' }),
  })
  const settled = async () => {
    for (let turn = 0; turn < 20; turn++) await setImmediate()
  }
  return {
    chat,
    clock,
    store,
    reach,
    conversations,
    actions,
    asked,
    async begin(message) {
      const history: ChatMessage[] = [{ role: 'user', content: message }]
      const { id } = await chat.start(somebody, { in: { specialist: 'helper', history, parameters: {} } })
      const events: TurnEvent[] = []
      const read = async () => {
        for await (const batch of chat.read(somebody, id, -1, new AbortController().signal)) events.push(...batch)
      }
      const ended = read()
      await settled()
      return { turn: id, events, ended }
    },
    async pass(ms) {
      // In small steps, as time passes: whoever keeps time may need the store in between.
      for (let left = ms; left > 0; left -= 500) {
        clock.advance(Math.min(left, 500))
        await settled()
      }
    },
    [Symbol.asyncDispose]: async () => {
      reach('reachable')
      const drained = chat.drain(0)
      for (let turn = 0; turn < 10; turn++) {
        clock.advance(1000)
        await settled()
      }
      await drained
      if (!sharing) await store.close()
    },
  }
}

const model = {
  provider: 'offline' as const,
  contextWindow: 32_000,
  continuation: 'restart' as const,
  price: { input: 1, output: 1 },
}

function modelsThatSay(say: (Say | Promise<Say>)[], asked: (readonly ChatMessage[])[]): Models {
  const answer: Models['answer'] = async ({ candidates, messages, signal }: AnswerRequest, sink): Promise<Answer> => {
    const [candidate] = candidates
    if (!candidate) throw new Error('no candidate')
    asked.push(messages(candidate))
    const said = await say.shift()
    if (!said) {
      const { promise, reject } = Promise.withResolvers<never>()
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      return promise
    }
    const { text = '', calls = [] } = said
    sink.speaker?.(candidate)
    if (text !== '') sink.text?.(text)
    sink.ended(segment(candidate.name))
    return {
      finish: calls.length > 0 ? 'tool_calls' : 'stop',
      text,
      toolCalls: calls.map((call, index) => ({ ...call, index, id: `call_${index}` })),
      model: candidate.name,
      wire: { id: 'chatcmpl-1', created: 0, model: candidate.name },
    }
  }
  return { answer, use: () => {}, health: () => [], setCircuit: () => undefined, close: async () => {} }
}

function segment(name: string): Segment {
  const tokens = { inputTokens: 1, cachedTokens: 0, outputTokens: 1, costUsd: 0, estimated: false }
  return { model: name, provider: 'offline', ...tokens, outcome: 'completed', durationMs: 1 }
}

/** Runs that change when they are told to. */
export interface ActionsAtHand {
  port: ActionPort
  dispatched: ActionCall[]
  withdrawn: string[]
  /** The run that was asked for as this one of all, from 0, changes. */
  change(index: number, status: RunStatus, output?: string): void
}

function actionsAtHand(clock: Clock): ActionsAtHand {
  const dispatched: ActionCall[] = []
  const withdrawn: string[] = []
  const runs = new Map<string, Run>()
  const watchers = new Map<string, (run: Run) => void>()
  const port: ActionPort = {
    tools: () => [
      { type: 'function', function: { name: 'act', description: 'Acts.', parameters: { type: 'object' } } },
    ],
    async dispatch(call) {
      const { key, action } = call
      const known = runs.get(key)
      if (known) return known
      dispatched.push(call)
      const run: Run = { id: `run_${runs.size}`, key, action, status: 'queued', output: undefined }
      runs.set(key, run)
      return run
    },
    settled: (run, waitMs, signal, onChange) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        clock.after(waitMs, () => resolve(runs.get(run.key) ?? run))
        watchers.set(run.key, (changed) => (isSettled(changed) ? resolve : onChange)(changed))
      }),
    withdraw: async (turn) => {
      withdrawn.push(turn)
    },
    takeFollowUps: async () => [],
    followUpDone: async () => {},
    onFollowUp: () => () => {},
  }
  return {
    port,
    dispatched,
    withdrawn,
    change(index, status, output) {
      const [key, run] = [...runs][index] ?? []
      if (!key || !run) throw new Error('there is no such run')
      const changed = { ...run, status, output }
      runs.set(key, changed)
      watchers.get(key)?.(changed)
    },
  }
}
