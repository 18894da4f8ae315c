import { randomUUID } from 'node:crypto'
import { createAdmission } from '#governance/admission.ts'
import { createBudgets } from '#governance/budgets/create.ts'
import { budgetsMigration } from '#governance/budgets/migration.ts'
import { Limits } from '#governance/limits/limits.ts'
import type { Principal } from '#identity/principal.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { openSql } from '#platform/sql/open.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'
import { startSharedState } from './shared-state.ts'
import { spreadOf } from './statistics.ts'

const log = createLog('silent')
const common = { clock: systemClock, log, tokens: { token: async () => ({ token: '', expiresAt: 0 }) } }
const turn = { kind: 'turn', bytes: 200 } as const
const finance: Principal = { tenant: 'home', id: 'fin', name: '', kind: 'user', roles: [], scopes: [] }

/** Nothing gets in the way but the looking. */
const limits = {
  requestsPerMinute: 10_000_000,
  tenantRequestsPerMinute: 10_000_000,
  clientRequestsPerMinute: 10_000_000,
  streamsAtOnce: 10_000_000,
  tokensPerDay: 1_000_000_000,
  firstDayRequests: 0,
}

const SERVED = { config: 'v1', arm: 'stable', cohort: '', unit: 'conv_1' } as const
const BUDGET_USD = 50
const TURN_USD = 1
/** What a turn is taken for at most, beside what it costs. */
const MOST_USD = 1.25

/** What a turn waits for before it begins, over Redis; and whether a budget holds when ten times too many want to spend it. */
export async function measureAdmission({ quick, say }: BenchOptions): Promise<PartReport> {
  await using opened = new AsyncDisposableStack()
  const shared = opened.use(await startSharedState())
  const sqlEnv = { engine: 'postgres', url: shared.databaseUrl, auth: 'url', poolSize: 4 } as const
  const sql = await openSql({ env: sqlEnv, migrations: [budgetsMigration], ...common })
  opened.defer(() => sql.close())
  const openReplica = async () => {
    const env = { engine: 'redis', url: shared.redis.url, cluster: false, auth: 'url' } as const
    const kv = await openKv({ env, ...common })
    opened.defer(() => kv.close())
    const stops = { get: () => undefined, set: async () => {}, lift: async () => true }
    const [events, spent, audit] = [{ emit: () => {} }, async () => 0, async () => {}]
    const budgets = createBudgets({ sql, kv, ...common, events, stops, spent, audit, awake: true, alone: false })
    opened.defer(() => budgets.close())
    return { kv, budgets }
  }
  const replicas = [await openReplica(), await openReplica(), await openReplica()] as const
  const [{ kv, budgets }] = replicas
  const bounds = new Limits({ kv, clock: systemClock, limits })
  opened.defer(() => bounds.close())
  const who: Principal = { ...finance, tenant: randomUUID(), id: 'ana', client: 'bench', groups: ['g'] }
  for (const scope of [`tenant:${who.tenant}`, `group:${who.tenant}:g`, `user:${who.tenant}:ana`]) {
    await budgets.set(finance, scope, { limitUsd: 1_000_000, period: 'month' }, undefined)
  }

  const counted = counting(kv)
  const without = createAdmission({ atOnce: 1000 })
  const within = createAdmission({ atOnce: 1000, limits: bounds, budgets })
  const ways: Record<string, () => Promise<unknown>> = {
    'a bare GET': () => kv.get(key('bench', 'nothing')),
    'without limits': async () => (await without.admit(who, turn)).release(),
    'with all limits and three budgets': async () => (await within.admit(who, turn)).release(),
  }
  const times = quick ? 1000 : 5000
  const rows: { way: string; p50: number; p99: number }[] = []
  for (const [way, ask] of Object.entries(ways)) {
    await timesOf(ask, times / 4)
    const { p50, p99 } = spreadOf(await timesOf(ask, times))
    rows.push({ way, p50, p99 })
    say(`admission: ${way}: p50 ${figure(p50)} ms`)
  }
  const ticks = await counted.ticksOf(() => within.admit(who, turn))
  const [, plain, full] = rows
  const addedMs = (full?.p50 ?? Number.NaN) - (plain?.p50 ?? 0)

  const spent = await overspend(replicas, quick ? 100 : 500)
  say(`admission: ${spent.admitted} of ${spent.turns} turns were paid, ${figure(spent.usd)} USD of ${BUDGET_USD}`)
  const gates = [
    atMost('added to a turn, p50', 'parley', addedMs, 0.3, ' ms'),
    atMost('round trips', 'parley', ticks, 1, ''),
    atMost('spent of a budget for 50 turns', 'parley', spent.usd, BUDGET_USD + MOST_USD - TURN_USD, ' USD'),
  ]
  const text = [
    table(
      ['admission', 'p50 ms', 'p99 ms'],
      rows.map(({ way, p50, p99 }) => [way, figure(p50), figure(p99)]),
    ),
    `${spent.turns} turns at once on three replicas, each of ${TURN_USD} USD and at most ${MOST_USD}, against a budget of ${BUDGET_USD}: ${spent.admitted} were paid, ${figure(spent.usd)} USD; the others were refused.`,
    gateTable(gates),
  ].join('\n\n')
  return { text, gates, data: { rows, ticks, spent } }
}

async function timesOf(ask: () => Promise<unknown>, times: number): Promise<number[]> {
  const taken: number[] = []
  for (let n = 0; n < times; n++) {
    const began = performance.now()
    await ask()
    taken.push(performance.now() - began)
  }
  return taken
}

/** In how many ticks of the loop a store is asked: what leaves in one leaves in one write. */
function counting(kv: Kv) {
  return {
    async ticksOf(ask: () => Promise<unknown>): Promise<number> {
      const run: Kv['run'] = kv.run.bind(kv)
      let ticks = 0
      let isNew = true
      kv.run = (operation, keys, args) => {
        if (isNew) {
          ticks += 1
          isNew = false
          setImmediate(() => {
            isNew = true
          })
        }
        return run(operation, keys, args)
      }
      await ask()
      kv.run = run
      return ticks
    },
  }
}

interface Replica {
  budgets: ReturnType<typeof createBudgets>
}

async function overspend(replicas: readonly Replica[], turns: number) {
  const who: Principal = { ...finance, tenant: randomUUID(), id: 'ana' }
  const scope = `user:${who.tenant}:ana`
  await replicas[0]?.budgets.set(finance, scope, { limitUsd: BUDGET_USD, period: 'month' }, undefined)
  for (const { budgets } of replicas) await budgets.list()
  const pay = async (n: number) => {
    const spending = replicas[n % replicas.length]?.budgets.spending(who, SERVED)
    if (!spending) throw new Error('no budget is set')
    try {
      await spending.reserve(MOST_USD)
    } catch {
      return 0
    }
    await new Promise((after) => setTimeout(after, 20))
    spending.settle(TURN_USD)
    return 1
  }
  // A few at a time, so that some come when others have settled.
  const waves = Array.from({ length: 5 }, (_, wave) => wave)
  let admitted = 0
  for (const wave of waves) {
    const paid = await Promise.all(Array.from({ length: turns / waves.length }, (_, n) => pay(n + wave)))
    admitted += paid.reduce<number>((sum, one) => sum + one, 0)
    await new Promise((after) => setTimeout(after, 20))
  }
  const views = await replicas[0]?.budgets.list()
  const usd = views?.find((view) => view.scope === scope)?.spentUsd ?? Number.NaN
  return { turns, admitted, usd }
}
