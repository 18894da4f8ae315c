import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { appendEvents } from '#chat/store/append.ts'
import { openTurn } from '#chat/store/open.ts'
import type { KvEnv } from '#env.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { createTokenSource } from '#platform/credential.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { pin } from './machine.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'
import { startBenchRedis } from './shared-state.ts'
import { type Append, openCorked, openPipelining, openTables } from './state-baselines.ts'

const TURNS = 200
const BODY = Buffer.alloc(150, 'x')
const INPUT = Buffer.alloc(2000, 'i')
const PER_TICK = [200, 3, 1]
const PACED = { perMs: 8, forMs: 4000 }
const LIMIT_US = 20

/** What it costs to append a turn's events to its log, under its fence: CPU of this process, all threads, per append. */
export async function measureState({ cores, quick, say }: BenchOptions): Promise<PartReport> {
  await using opened = new AsyncDisposableStack()
  const redis = opened.use(await startBenchRedis())
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-bench-'))
  opened.defer(() => rm(folder, { recursive: true }))
  const stores: Record<string, () => Promise<{ append: Append; close(): Promise<void> }>> = {
    'parley on Redis': () => openOurs({ engine: 'redis', url: redis.url, cluster: false, auth: 'url' }),
    "ioredis' commands, socket corked per tick": () => openCorked(redis.url, BODY),
    "ioredis' automatic pipelining": () => openPipelining(redis.url, BODY),
    'parley on SQLite': () => openOurs({ engine: 'sqlite', path: path.join(folder, 'state.db') }),
    'SQLite, tables alone': () => openTables(path.join(folder, 'tables.db'), TURNS, BODY, INPUT),
  }
  if (cores) pin(process.pid, cores.target)
  const idleUs = await pacedUs(async () => {})
  const rows: { store: string; us: number[] }[] = []
  for (const [store, open] of Object.entries(stores)) {
    say(`state: ${store}`)
    const { append, close } = await open()
    const us: number[] = []
    for (const perTick of PER_TICK) us.push(await tickedUs(append, perTick, quick ? 10_000 : 60_000))
    us.push((await pacedUs(append)) - idleUs)
    rows.push({ store, us })
    await close()
  }
  if (cores) pin(process.pid, cores.harness)
  const text = table(
    ['CPU µs per append', ...PER_TICK.map((perTick) => `${perTick} per tick`), `${PACED.perMs} per ms`],
    rows.map(({ store, us }) => [store, ...us.map(figure)]),
  )
  const gates = rows
    .filter(({ store }) => store.startsWith('parley'))
    .flatMap(({ store, us: [full = 0, , , paced = 0] }) => [
      atMost('append, 200 per tick', store, full, LIMIT_US, ' µs'),
      atMost('append, paced', store, paced, LIMIT_US, ' µs'),
    ])
  return { text: `${text}\n\n${gateTable(gates)}`, gates, data: { rows } }
}

async function openOurs(env: KvEnv): Promise<{ append: Append; close(): Promise<void> }> {
  const kv = await openKv({ env, clock: systemClock, log: createLog('error'), tokens: createTokenSource() })
  return { append: await turnsOn(kv), close: () => kv.close() }
}

async function turnsOn(kv: Kv): Promise<Append> {
  const turns = await Promise.all(
    Array.from({ length: TURNS }, async (_, n) => {
      const [turn, log] = [key(`principal-${n}`, 'turn'), key(`principal-${n}`, 'turn:log')]
      const args = ['turn', 'replica', 60_000, INPUT, 3_600_000, '', 1, 1, BODY, 3_600_000]
      await kv.run(openTurn, [turn, key(`principal-${n}`, 'idempotency'), log], args)
      return { turn, log, top: 0 }
    }),
  )
  return async (n) => {
    const of = turns[n % TURNS]
    if (!of) throw new RangeError('a turn that is not there')
    of.top += 1
    const { kind } = await kv.run(appendEvents, [of.turn, of.log], [1, of.top, of.top, BODY, 60_000])
    if (kind !== 'appended') throw new Error(`an append was ${kind}`)
  }
}

/**
 * As many as are asked for at once, and again when all are acknowledged. With few of them this is mostly what it costs to
 * fall asleep and to be woken.
 */
async function tickedUs(append: Append, perTick: number, total: number): Promise<number> {
  let made = 0
  const make = async (count: number) => {
    while (count > 0) {
      await Promise.all(Array.from({ length: perTick }, () => append(made++)))
      count -= perTick
    }
  }
  await make(total / 4)
  const [before, madeBefore] = [process.cpuUsage(), made]
  await make(total)
  return usedUs(before) / (made - madeBefore)
}

/** As they come when 200 streams bring 40 a second each, whether or not those before are acknowledged. */
async function pacedUs(append: Append): Promise<number> {
  const pending: Promise<void>[] = []
  const run = async (forMs: number) => {
    const [start, madeBefore] = [performance.now(), pending.length]
    for (let elapsedMs = 0; elapsedMs < forMs; elapsedMs = performance.now() - start) {
      const due = madeBefore + elapsedMs * PACED.perMs
      while (pending.length < due) pending.push(append(pending.length))
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
  await run(PACED.forMs / 4)
  const [before, madeBefore] = [process.cpuUsage(), pending.length]
  await run(PACED.forMs)
  await Promise.all(pending)
  return usedUs(before) / (pending.length - madeBefore)
}

function usedUs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before)
  return user + system
}
