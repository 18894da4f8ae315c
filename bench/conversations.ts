import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { commitTurn } from '#chat/store/commit.ts'
import { openTurn } from '#chat/store/open.ts'
import { turnKeys } from '#chat/store/turn-keys.ts'
import type { Conversations, Message } from '#conversations/conversations.ts'
import { createConversations } from '#conversations/create.ts'
import { conversationKeys } from '#conversations/keys.ts'
import { encodeMessages } from '#conversations/message-codec.ts'
import { sealTitle } from '#conversations/title.ts'
import type { KvEnv } from '#env.ts'
import type { Principal } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { createTokenSource } from '#platform/credential.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { pin } from './machine.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'
import { startBenchRedis } from './shared-state.ts'
import { spreadOf } from './statistics.ts'

const CONVERSATIONS = 2000
const AT_ONCE = 8
const DAY_MS = 86_400_000
const SOMEBODY = { tenant: 'bench', name: 'Bench', kind: 'user', roles: [], scopes: [] } as const
const PINNED = { config: 'v1', arm: 'stable', cohort: '' } as const
const LIMITS_MS = { create: 2, read: 1, append: 2 }

/**
 * What conversations cost without HTTP around them: create one; read one with its messages; append the two messages of a turn,
 * which is the commit of that turn. Eight at once.
 */
export async function measureConversations({ cores, quick, say }: BenchOptions): Promise<PartReport> {
  await using opened = new AsyncDisposableStack()
  const redis = opened.use(await startBenchRedis())
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-bench-'))
  opened.defer(() => rm(folder, { recursive: true }))
  const engines: Record<string, KvEnv> = {
    SQLite: { engine: 'sqlite', path: path.join(folder, 'state.db') },
    Redis: { engine: 'redis', url: redis.url, cluster: false, auth: 'url' },
  }
  // This process is the one that is measured now.
  if (cores) pin(process.pid, cores.target)
  const rows = []
  for (const [engine, env] of Object.entries(engines)) {
    say(`conversations: ${engine}`)
    const times = await timesOn(env, path.join(folder, 'master.key'), quick ? CONVERSATIONS / 4 : CONVERSATIONS)
    rows.push(...Object.entries(times).map(([step, tookMs]) => ({ engine, step, ...spreadOf(tookMs) })))
  }
  if (cores) pin(process.pid, cores.harness)
  const text = table(
    ['engine', 'step', 'p50 ms', 'p95 ms', 'p99 ms'],
    rows.map(({ engine, step, p50, p95, p99 }) => [engine, step, ...[p50, p95, p99].map(figure)]),
  )
  const gates = rows.map(({ engine, step, p95 }) =>
    atMost(`${step} p95`, engine, p95, LIMITS_MS[step as keyof typeof LIMITS_MS], ' ms'),
  )
  return { text: `${text}\n\n${gateTable(gates)}`, gates, data: { rows } }
}

async function timesOn(env: KvEnv, masterKeyPath: string, total: number) {
  const clock = systemClock
  const kv = await openKv({ env, clock, log: createLog('warn'), tokens: createTokenSource() })
  const masterKeys = { source: 'file', path: masterKeyPath } as const
  try {
    const conversations = await createConversations({ kv, masterKeys, idleMs: DAY_MS })
    const times = { create: [] as number[], read: [] as number[], append: [] as number[] }
    for (const counted of [false, true]) {
      const principal: Principal = { ...SOMEBODY, id: counted ? 'measured' : 'warming-up' }
      const time = async (into: number[], task: () => Promise<unknown>) => {
        const before = performance.now()
        await task()
        if (counted) into.push(performance.now() - before)
      }
      const turn = await turnsOf(kv, conversations, principal)
      const one = async () => {
        let id = ''
        await time(times.create, async () => {
          id = (await conversations.create(principal, { specialist: 'bench', pin: () => PINNED })).id
        })
        const commit = await turn(id)
        await time(times.append, commit)
        await time(times.read, () => conversations.messages(principal, id, -1, 100))
      }
      for (let done = 0; done < total; done += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, one))
    }
    return times
  } finally {
    await kv.close()
  }
}

/** Opens a turn in a conversation and hands out what commits it. */
async function turnsOf(kv: Kv, conversations: Conversations, principal: Principal) {
  const seal = await conversations.seal(principal)
  const message = {
    turn: 'turn',
    content: 'Some words that somebody says, as long as such things are. '.repeat(8),
    at: 0,
  }
  const messages: Message[] = [
    { ...message, id: newId('msg'), role: 'user' },
    { ...message, id: newId('msg'), role: 'assistant' },
  ]
  return async (conversation: string) => {
    const id = newId('turn')
    const { turn, log } = turnKeys(principal, id)
    const keys = conversationKeys(principal, conversation)
    const events = seal.seal('turn.started {}\n', 'start')
    const opening = [id, 'bench', DAY_MS, seal.seal('{}', 'input'), DAY_MS, '', DAY_MS, DAY_MS, events, DAY_MS]
    await kv.run(openTurn, [turn, turn, log, keys.record, keys.messages, keys.index], opening)
    return async () => {
      const sealed = encodeMessages(seal, keys, 0, messages)
      const ofTurn = [1, 1, 1, events, events, DAY_MS, DAY_MS]
      const kept = [id, conversation, 0, sealed, 2, sealTitle(seal, keys, 'A title'), DAY_MS]
      const all = [turn, log, keys.record, keys.messages, keys.index]
      if ((await kv.run(commitTurn, all, [...ofTurn, ...kept])) !== 'committed')
        throw new Error('The turn is not committed.')
    }
  }
}
