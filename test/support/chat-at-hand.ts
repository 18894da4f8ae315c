import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Chat, TurnRequest } from '#chat/chat.ts'
import { createChat } from '#chat/create.ts'
import type { TurnEvent } from '#chat/turn-events.ts'
import type { ConfigDocument, ConfigVersion } from '#config/document.ts'
import type { Archive } from '#conversations/archive.ts'
import type { Conversations } from '#conversations/conversations.ts'
import { createConversations } from '#conversations/create.ts'
import type { Events, Facts, TurnEnded } from '#events/events.ts'
import { createAdmission } from '#governance/admission.ts'
import type { Principal } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import { createLog, type Log } from '#log.ts'
import type { Answer, AnswerRequest, ChatMessage, Segment } from '#models/answer.ts'
import type { Models } from '#models/models.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import type { MasterKeysEnv } from '../../src/env.ts'
import { type ActionsAtHand, actionsAtHand } from './actions-at-hand.ts'
import { chatConfig } from './chat-config.ts'
import { type ManualClock, manualClock } from './clock.ts'
import { ScriptedServing } from './scripted-serving.ts'
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
  archive?: Archive | undefined
  actions: ActionsAtHand
  serving: ScriptedServing
  /** What was told. */
  told: Told[]
  /** The prompts that models were asked with. */
  asked: (readonly ChatMessage[])[]
  /** The tools that each of them offered. */
  offered: unknown[]
  /** Starts a turn that stands alone; its events are gathered as they come. */
  begin(message: string, parameters?: Readonly<Record<string, unknown>>): Promise<BegunTurn>
  /** Starts a turn of a conversation. */
  say(conversation: string, message: string): Promise<BegunTurn>
  /** A new conversation with the helper; its id. */
  converse(): Promise<string>
  pass(ms: number): Promise<void>
}

/** A fact, as it was told. */
type OfChat = 'turn.ended' | 'relay.ended' | 'run.settled' | 'feedback.given'
export type Told = { [Name in OfChat]: { name: Name; fact: Facts[Name] } }[OfChat]

export interface BegunTurn {
  turn: string
  events: TurnEvent[]
  ended: Promise<void>
}

export interface ChatAtHandOptions {
  /** Answer by answer; when there are no more, the model says nothing. */
  say?: (Say | Promise<Say>)[]
  /** That of another replica, with its clock and its keys. */
  sharing?: Pick<ChatAtHand, 'store' | 'clock' | 'conversations' | 'archive'>
  clock?: ManualClock
  /** Those of another replica, which leave their late results for both. */
  actions?: ActionsAtHand
  /** Its specialist is `helper`. */
  document?: (given: ConfigDocument) => ConfigDocument
  atOnce?: number
  serving?: ScriptedServing
  /** Over the store and its keys; it gets none otherwise. */
  archive?: (store: Kv, masterKeys: MasterKeysEnv) => Promise<Archive>
  settled?: (turn: TurnEnded) => Promise<void>
  isLive?: (principal: Principal) => Promise<boolean>
  /** Silent where absent. */
  log?: Log
}

export const somebody: Principal = {
  tenant: 'home',
  id: 'somebody',
  name: 'Somebody',
  kind: 'user',
  roles: [],
  scopes: [],
}

/** A version whose one model is played by hand. */
export function versionAtHand(name: string, change: (given: ConfigDocument) => ConfigDocument = (given) => given) {
  return { name, hash: `hash of ${name}`, document: change(chatConfig({ only: model })) } satisfies ConfigVersion
}

export async function chatAtHand(options: ChatAtHandOptions): Promise<ChatAtHand> {
  const { say = [], sharing, document = (given) => given, atOnce = 100 } = options
  const clock = sharing?.clock ?? options.clock ?? manualClock()
  const log = options.log ?? createLog('silent')
  const store = sharing?.store ?? createKv(new SqliteEngine({ path: ':memory:', clock, log }))
  const { kv, reach } = unreachableKv(store)
  const masterKeys = { source: 'environment' as const, keys: [{ id: 'test', key: randomBytes(32) }] }
  const archive = sharing?.archive ?? (await options.archive?.(store, masterKeys))
  const conversations =
    sharing?.conversations ?? (await createConversations({ kv: store, masterKeys, idleMs: 1e9, clock, archive }))
  const actions = options.actions ?? actionsAtHand(clock)
  const asked: (readonly ChatMessage[])[] = []
  const offered: unknown[] = []
  const config = versionAtHand('v1', document)
  const serving = options.serving ?? new ScriptedServing(config)
  const told: Told[] = []
  const events: Pick<Events, 'emit'> = { emit: (name, fact) => void told.push({ name, fact } as Told) }
  const chat = createChat({
    kv,
    clock,
    log,
    models: modelsThatSay(say, asked, offered),
    actions: actions.port,
    conversations,
    archive,
    configs: { get: (name) => serving.get(name), find: async (name) => serving.get(name) },
    serving,
    events,
    replica: newId('rep'),
    leaseMs: LEASE_MS,
    conversationIdleMs: 1e9,
    admission: createAdmission({ atOnce }),
    settled: options.settled,
    isLive: options.isLive,
  })
  const settled = async () => {
    for (let turn = 0; turn < 20; turn++) await setImmediate()
  }
  const begin = async (request: TurnRequest): Promise<BegunTurn> => {
    const { id } = await chat.start(somebody, request)
    const events: TurnEvent[] = []
    const read = async () => {
      for await (const batch of chat.read(somebody, id, -1, new AbortController().signal)) events.push(...batch)
    }
    const ended = read()
    await settled()
    return { turn: id, events, ended }
  }
  return {
    chat,
    clock,
    store,
    reach,
    conversations,
    archive,
    actions,
    serving,
    told,
    asked,
    offered,
    begin: (content, parameters = {}) =>
      begin({ in: { specialist: 'helper', history: [{ role: 'user', content }], parameters } }),
    say: (conversation, message) => begin({ in: { conversation }, message }),
    async converse() {
      return (await chat.createConversation(somebody, { specialist: 'helper' })).id
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

function modelsThatSay(say: (Say | Promise<Say>)[], asked: (readonly ChatMessage[])[], offered: unknown[]): Models {
  const answer: Models['answer'] = async (request: AnswerRequest, sink): Promise<Answer> => {
    const { candidates, messages, parameters, signal } = request
    const [candidate] = candidates
    if (!candidate) throw new Error('no candidate')
    asked.push(messages(candidate))
    offered.push(parameters.tools)
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
