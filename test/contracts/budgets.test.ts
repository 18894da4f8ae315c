import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { ParleyError } from '#errors.ts'
import type { BudgetReached } from '#events/events.ts'
import type { AuditEntry } from '#governance/audit.ts'
import { begin, readCounter, reserve, settle } from '#governance/budgets/counters.ts'
import { createBudgets } from '#governance/budgets/create.ts'
import { budgetsMigration } from '#governance/budgets/migration.ts'
import type { Stop } from '#governance/stops.ts'
import type { Principal } from '#identity/principal.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { openSql } from '#platform/sql/open.ts'
import type { ManualClock } from '../support/clock.ts'
import { manualClock } from '../support/clock.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'
import { unreachableKv } from '../support/unreachable-kv.ts'
import { until } from './kv/under-test.ts'

const log = createLog('silent')
const common = { clock: systemClock, log, tokens: { token: async () => ({ token: '', expiresAt: 0 }) } }
const server = await startRedis()
const postgres = await sharedPostgres()
const redis = await openKv({ env: { engine: 'redis', url: server.url, cluster: false, auth: 'url' }, ...common })
const sqlite = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...common })
const sql = await openSql({
  env: { engine: 'postgres', url: await postgres.createDatabase(), auth: 'url', poolSize: 4 },
  migrations: [budgetsMigration],
  ...common,
})
after(async () => {
  await Promise.all([redis.close(), sqlite.close(), sql.close()])
  await server[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
})

const served = { config: 'v2', arm: 'canary', cohort: 'roll_1.0', unit: 'conv_1' } as const
const finance: Principal = { ...somebody(), tenant: 'home', id: 'fin', roles: ['Finance.Operator'] }

function budgetsOver(kv: Kv, given: { spent?: number | Error; clock?: ManualClock } = {}) {
  const { spent = 0, clock = manualClock(Date.now()) } = given
  const told: BudgetReached[] = []
  const audited: AuditEntry[] = []
  const stopped: Stop[] = []
  const away = { stops: false, tries: 0, meanwhile: async () => {} }
  let asked = 0
  const budgets = createBudgets({
    sql,
    kv,
    clock,
    log,
    events: { emit: (_, fact) => void told.push(fact as BudgetReached) },
    stops: {
      get: (scope) => stopped.find((stop) => stop.scope === scope),
      set: async (stop) => {
        away.tries += 1
        await away.meanwhile()
        if (away.stops) throw new ParleyError('state_unavailable')
        stopped.push(stop)
      },
      lift: async (scope) => {
        stopped.splice(0, stopped.length, ...stopped.filter((stop) => stop.scope !== scope))
        return true
      },
    },
    spent: async () => {
      asked += 1
      if (spent instanceof Error) throw spent
      return spent
    },
    audit: async (entry) => void audited.push(entry),
    awake: true,
    alone: true,
  })
  return {
    budgets,
    told,
    audited,
    stopped,
    away,
    clock,
    asked: () => asked,
    [Symbol.asyncDispose]: () => budgets.close(),
  }
}

function somebody(more: Partial<Principal> = {}): Principal {
  return { tenant: randomUUID(), id: 'ana', name: 'Ana', kind: 'user', roles: [], scopes: [], ...more }
}

/** What was handed in before is done when the store has answered this. */
async function told(kv: Kv): Promise<void> {
  for (let n = 0; n < 3; n++) await kv.get(key('nothing', 'there'))
}

const terms = { limitUsd: 10, period: 'month' } as const

for (const kv of [sqlite, redis]) {
  const on = `budgets on ${kv.engine}`

  test(`${on}: 500 answers at once, a budget for 50: as many as it holds are paid, and not one more`, async () => {
    await using one = budgetsOver(kv)
    await using other = budgetsOver(kv)
    const ana = somebody()
    await one.budgets.set(finance, `user:${ana.tenant}:ana`, terms, undefined)
    await other.budgets.list()
    // Each may cost 0.25, and costs 0.2.
    const turn = async (n: number) => {
      const spending = (n % 2 === 0 ? one : other).budgets.spending(ana, served)
      assert.ok(spending)
      try {
        await spending.reserve(0.25)
      } catch (error) {
        assert.equal((error as ParleyError).code, 'budget_exceeded')
        return 0
      }
      await told(kv)
      spending.settle(0.2)
      await told(kv)
      spending.close()
      return 0.2
    }
    const costs = await Promise.all(Array.from({ length: 500 }, (_, n) => turn(n)))
    await told(kv)
    const spent = costs.reduce<number>((sum, cost) => sum + cost, 0)
    const [view] = (await one.budgets.list()).filter(({ scope }) => scope === `user:${ana.tenant}:ana`)
    assert.ok(Math.abs((view?.spentUsd ?? 0) - spent) < 1e-6, `${view?.spentUsd} counted, ${spent} spent`)
    assert.ok(spent > 7.5 && spent <= 10 + 1e-9, `${spent} was spent of 10`)
    assert.equal(view?.reservedUsd, 0)
  })

  test(`${on}: who spends from several spends from all, or from none`, async () => {
    await using till = budgetsOver(kv)
    const { budgets } = till
    const ana = somebody({ groups: ['g1', 'g2'] })
    await budgets.set(finance, `tenant:${ana.tenant}`, { ...terms, limitUsd: 5 }, undefined)
    await budgets.set(finance, `group:${ana.tenant}:g2`, { ...terms, limitUsd: 2 }, undefined)
    const spending = budgets.spending(ana, served)
    await spending?.reserve(2)
    await assert.rejects(async () => spending?.reserve(0.000001), { code: 'budget_exceeded' })
    spending?.settle(1)
    await told(kv)
    // Somebody outside of the group has what is left to the tenant.
    const ben = budgets.spending({ ...ana, id: 'ben', groups: [] }, served)
    await ben?.reserve(4)
    await assert.rejects(async () => ben?.reserve(0.000001), { code: 'budget_exceeded' })
    assert.equal(budgets.spending(somebody(), served), undefined)
  })

  test(`${on}: at its levels it tells so, once each; at the limit nothing new begins, and past it answers are cut until an operator overrides`, async () => {
    await using till = budgetsOver(kv)
    const { budgets, told: reached, stopped, clock } = till
    const ana = somebody()
    const scope = `tenant:${ana.tenant}`
    const { version } = await budgets.set(finance, scope, terms, undefined)
    const spend = async (usd: number) => {
      budgets.spending(ana, served)?.charge(usd)
      await told(kv)
    }
    await spend(6.9)
    assert.deepEqual(reached, [])
    await spend(0.1)
    await spend(1.9)
    await budgets.check(ana)
    assert.deepEqual(
      reached.map(({ percent }) => percent),
      [70, 85],
    )
    await spend(1.1)
    assert.deepEqual(
      reached.map(({ percent }) => percent),
      [70, 85, 95, 100],
    )
    assert.ok(reached.every(({ served: told }) => told === served))
    await assert.rejects(budgets.check(ana), { code: 'budget_exceeded' })
    assert.deepEqual(stopped, [])
    const cut = () =>
      assert.deepEqual(
        stopped.map(({ scope }) => scope),
        [`budget:${scope}`],
      )
    till.away.stops = true
    await spend(1)
    await until(() => till.away.tries > 0)
    assert.deepEqual(stopped, [])
    till.away.stops = false
    await spend(0.001)
    await until(() => stopped.length > 0)
    await spend(0.001)
    cut()
    const override = { addUsd: 5, until: clock.now() + 60_000, reason: 'a release' }
    await budgets.override(finance, scope, override, version)
    assert.deepEqual(stopped, [])
    await budgets.check(ana)
    // Of a replica that has not heard of the override yet: it looks before it cuts anew.
    await using late = budgetsOver(kv, { clock })
    await late.budgets.list()
    await budgets.override(finance, scope, { ...override, addUsd: 9 }, version + 1)
    late.budgets.spending(ana, served)?.charge(6)
    await until(() => late.told.length > 0)
    await late.budgets.list()
    assert.deepEqual(late.stopped, [])
    assert.deepEqual(
      till.audited.map(({ kind }) => kind),
      ['budget.set', 'budget.overridden', 'budget.overridden'],
    )
    clock.advance(60_000)
    await assert.rejects(budgets.check(ana), { code: 'budget_exceeded' })
    await spend(0.001)
    await until(() => stopped.length > 0)
    cut()
    assert.equal(till.away.tries, 3)
  })

  test(`${on}: what nobody knows of is counted from the ledger, and without it nobody spends`, async () => {
    const ana = somebody()
    const scope = `tenant:${ana.tenant}`
    await using first = budgetsOver(kv, { spent: new ParleyError('database_unavailable') })
    const record = { list: async () => (await first.budgets.list().catch(() => [])).length }
    await assert.rejects(first.budgets.set(finance, scope, terms, undefined), { code: 'database_unavailable' })
    await assert.rejects(first.budgets.check(ana), { code: 'database_unavailable' })
    assert.equal(await record.list(), 0)
    await using second = budgetsOver(kv, { spent: 9.5 })
    await second.budgets.list()
    await Promise.all([second.budgets.check(ana), second.budgets.check(ana)])
    assert.ok(second.asked() >= 1)
    await assert.rejects(async () => second.budgets.spending(ana, served)?.reserve(0.6), { code: 'budget_exceeded' })
    await second.budgets.spending(ana, served)?.reserve(0.5)
  })

  test(`${on}: with the store away nobody spends, and what was spent is counted when it is back`, async () => {
    const { kv: away, reach } = unreachableKv(kv)
    await using till = budgetsOver(away)
    const { budgets, clock } = till
    const ana = somebody()
    await budgets.set(finance, `tenant:${ana.tenant}`, terms, undefined)
    const spending = budgets.spending(ana, served)
    await spending?.reserve(3)
    reach('away')
    await assert.rejects(budgets.check(ana), { code: 'state_unavailable' })
    await assert.rejects(async () => budgets.spending(ana, served)?.reserve(1), { code: 'state_unavailable' })
    spending?.settle(2)
    await told(kv)
    // Counted, but the answer was lost: told again, it counts once.
    reach('deaf')
    clock.advance(5000)
    await told(kv)
    reach('reachable')
    clock.advance(5000)
    await told(kv)
    const [view] = (await budgets.list()).filter(({ scope }) => scope === `tenant:${ana.tenant}`)
    assert.equal(view?.spentUsd, 2)
    assert.equal(view?.reservedUsd, 0)
  })
}

test('an answer under way goes by what is set meanwhile, and its cost counts for the period of now', async () => {
  await using till = budgetsOver(sqlite)
  const { budgets, told: reached, clock } = till
  const ana = somebody()
  const scope = `tenant:${ana.tenant}`
  const { version } = await budgets.set(finance, scope, terms, undefined)
  const spending = budgets.spending(ana, served)
  await spending?.reserve(9)
  await budgets.override(finance, scope, { addUsd: 10, until: clock.now() + 60_000, reason: 'a release' }, version)
  await spending?.reserve(9)
  await budgets.set(finance, scope, { ...terms, period: 'day' }, version + 1)
  spending?.settle(12)
  const [view] = (await budgets.list()).filter((one) => one.scope === scope)
  assert.deepEqual([view?.spentUsd, view?.reservedUsd, reached], [12, 0, []])
  await budgets.remove(finance, scope, version + 2)
  await spending?.reserve(90)
})

test('nobody is cut by a budget that was removed, nor by terms of before that reach the store late', async () => {
  for (const decide of ['remove', 'override'] as const) {
    await using till = budgetsOver(sqlite)
    const { budgets, stopped, away, clock } = till
    const ana = somebody()
    const scope = `tenant:${ana.tenant}`
    const { version } = await budgets.set(finance, scope, terms, undefined)
    const underWay = budgets.spending(ana, served)
    const override = { addUsd: 50, until: clock.now() + 60_000, reason: 'a release' }
    // The operator decides while the cut is on its way, and so finds nothing to lift.
    away.meanwhile = () =>
      decide === 'remove'
        ? budgets.remove(finance, scope, version)
        : budgets.override(finance, scope, override, version).then(() => {})
    underWay?.charge(12)
    await until(() => away.tries > 0)
    await budgets.close()
    assert.deepEqual(stopped, [], decide)
  }
  // An answer of before settles after it is gone.
  await using till = budgetsOver(sqlite)
  const { budgets, stopped, away, told: reached } = till
  const ana = somebody()
  const { version } = await budgets.set(finance, `tenant:${ana.tenant}`, terms, undefined)
  const underWay = budgets.spending(ana, served)
  await budgets.remove(finance, `tenant:${ana.tenant}`, version)
  underWay?.charge(12)
  await until(() => reached.some(({ percent }) => percent === 110))
  await budgets.close()
  assert.deepEqual([stopped, away.tries], [[], 0])
})

test('a cut that outlived its budget is lifted by whoever removes it again', async () => {
  await using till = budgetsOver(sqlite)
  const { budgets, stopped, clock } = till
  const scope = `tenant:${randomUUID()}`
  const { version } = await budgets.set(finance, scope, terms, undefined)
  await budgets.remove(finance, scope, version)
  stopped.push({ scope: `budget:${scope}`, reason: 'over budget', by: null, at: clock.now(), until: null })
  await assert.rejects(budgets.remove(finance, scope, version), { code: 'not_found' })
  assert.deepEqual(stopped, [])
})

test('of two who decide at once, one hears that the other was first', async () => {
  await using till = budgetsOver(sqlite)
  const { budgets } = till
  const scope = `user:${randomUUID()}:ana`
  const { version } = await budgets.set(finance, scope, terms, undefined)
  await assert.rejects(budgets.set(finance, scope, terms, undefined), { code: 'precondition_required' })
  const override = { addUsd: 1, until: Date.now() + 60_000, reason: 'a release' }
  const both = await Promise.allSettled([
    budgets.override(finance, scope, override, version),
    budgets.override(finance, scope, { ...override, addUsd: 2 }, version),
  ])
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  const [refused] = both.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  assert.equal(refused.code, 'version_conflict')
  await assert.rejects(budgets.remove(finance, scope, version), { code: 'version_conflict' })
  await budgets.remove(finance, scope, version + 1)
  await assert.rejects(budgets.override(finance, scope, override, 1), { code: 'not_found' })
  await assert.rejects(budgets.set(finance, 'everybody', terms, undefined), { code: 'invalid_request' })
})

test('a new period begins with nothing spent, and a replica whose clock is behind does not bring the old one back', async () => {
  const kv = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...common })
  await using _ = { [Symbol.asyncDispose]: () => kv.close() }
  const [record, held] = [key('p', 'record'), key('p', 'held')]
  await kv.run(begin, [record], [1000, 90])
  const take = (start: number, amount: number) => kv.run(reserve, [record, held], ['id', amount, 60_000, start, 100])
  assert.deepEqual(await take(1000, 11), { kind: 'exceeded', at: 0 })
  assert.deepEqual(await take(2000, 60), { kind: 'reserved' })
  assert.deepEqual(await take(1000, 50), { kind: 'exceeded', at: 0 })
  assert.deepEqual(await kv.run(readCounter, [record], [1000]), { spent: 0, reserved: 60 })
})

test('what a replica that died had reserved comes free', async () => {
  const clock = manualClock()
  const kv = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...common, clock })
  await using _ = { [Symbol.asyncDispose]: () => kv.close() }
  const [record, held] = [key('p', 'record'), key('p', 'held')]
  await kv.run(begin, [record], [0, 0])
  const take = (id: string) => kv.run(reserve, [record, held], [id, 100, 30_000, 0, 100])
  assert.equal((await take('one')).kind, 'reserved')
  clock.advance(29_999)
  assert.equal((await take('two')).kind, 'exceeded')
  clock.advance(1)
  assert.equal((await take('two')).kind, 'reserved')
})

test('both live states count alike', async () => {
  const asked = fc.record({
    budgets: fc.subarray(['a', 'b'], { minLength: 1 }),
    amount: fc.constantFrom(0, 1, 40),
    limit: fc.constantFrom(0, 50, 100, 1000),
    start: fc.constantFrom(1000, 2000),
    does: fc.constantFrom('reserve', 'reserve', 'settle', 'begin', 'read'),
    id: fc.nat({ max: 4 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(asked, { maxLength: 30 }), async (steps) => {
      const partition = `p${randomUUID()}`
      const play = async (kv: Kv) => {
        const said: unknown[] = []
        for (const { budgets, amount, limit, start, does, id } of steps) {
          const keys = budgets.flatMap((name) => [key(partition, name), key(partition, `${name}:held`)])
          const of = budgets.flatMap(() => [start, limit])
          const first = keys.slice(0, 1)
          if (does === 'reserve') said.push(await kv.run(reserve, keys, [`id-${id}`, amount, 60_000, ...of]))
          else if (does === 'begin') said.push(await kv.run(begin, first, [start, amount]))
          else if (does === 'read') said.push(await kv.run(readCounter, first, [start]))
          else said.push(await kv.run(settle, [key(partition, `s-${id}`), ...keys], [`id-${id}`, amount, ...of]))
        }
        return said
      }
      const [expected, answered] = await Promise.all([sqlite, redis].map(play))
      assert.deepEqual(answered, expected)
    }),
    { numRuns: 80 },
  )
})
