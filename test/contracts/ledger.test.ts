import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, describe, test } from 'node:test'
import fc from 'fast-check'
import type { SpentSegment, TurnEnded } from '#events/events.ts'
import { sumDecimals } from '#governance/decimals.ts'
import { billOfCopy, billOfTurn } from '#governance/ledger/bill.ts'
import { createKvLedger } from '#governance/ledger/kv-store.ts'
import { ledgerMigration } from '#governance/ledger/migration.ts'
import { ledgerPruneMigration } from '#governance/ledger/prune-migration.ts'
import { createSqlLedger } from '#governance/ledger/sql-store.ts'
import type { LedgerStore } from '#governance/ledger/store.ts'
import type { LedgerEntry } from '#governance/ledger.ts'
import { newId } from '#ids.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openKv } from '#platform/kv/open.ts'
import { openSql } from '#platform/sql/open.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { startRedis } from '../support/redis.ts'

const common = {
  clock: systemClock,
  log: createLog('silent'),
  tokens: { token: async () => ({ token: '', expiresAt: 0 }) },
}
const opened = new AsyncDisposableStack()
after(() => opened.disposeAsync())
const postgres = opened.use(await sharedPostgres())
const redis = opened.use(await startRedis())
const url = await postgres.createDatabase()
const sql = await openSql({
  env: { engine: 'postgres', url, auth: 'url', poolSize: 4 },
  migrations: [ledgerMigration, ledgerPruneMigration],
  ...common,
})
opened.defer(() => sql.close())
const onRedis = await openKv({ env: { engine: 'redis', url: redis.url, cluster: false, auth: 'url' }, ...common })
opened.defer(() => onRedis.close())
const onSqlite = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...common })
opened.defer(() => onSqlite.close())

const NOVEMBER = Date.UTC(2026, 10, 1)
const DECEMBER = Date.UTC(2026, 11, 1)
const november = { from: NOVEMBER, to: DECEMBER }
const DAY = 86_400_000
const KEEP_MS = 7 * 365 * DAY

function turnOf(tenant: string, segments: readonly SpentSegment[], more: Partial<TurnEnded> = {}): TurnEnded {
  const turn = newId('turn')
  return {
    ...{ turn, tenant, principal: 'ana', conversation: null, specialist: 'helper', config: 'v1', arm: 'stable' },
    ...{ cohort: '', unit: turn, status: 'completed', finish: 'stop', code: null, faults: [], firstTokenMs: null },
    ...{ startedAt: NOVEMBER, endedAt: NOVEMBER + 5 * DAY, segments },
    ...more,
  }
}

function called(costUsd: number, more: Partial<SpentSegment> = {}): SpentSegment {
  const call = { provider: 'openai', outcome: 'completed', durationMs: 1 } as const
  return { model: 'primary', inputTokens: 10, outputTokens: 3, costUsd, call, ...more }
}

const listed = async (ledger: LedgerStore, tenant: string, period = november) =>
  (await Array.fromAsync(ledger.entries(tenant, period))).flat()

function ledgerContract(engine: string, ledger: LedgerStore): void {
  describe(`the ledger in ${engine}`, () => {
    const keep = (...turns: TurnEnded[]) => ledger.keep(turns.map(billOfTurn))

    test('a turn is kept call by call, as its receipt has it, and once, however often it is told', async () => {
      const tenant = randomUUID()
      const failed = { provider: 'openai', outcome: 'failed', reason: 'stalled', durationMs: 9 } as const
      const segments = [called(0.25, { call: failed, estimated: true }), called(1e-7, { model: 'backup' })]
      const turn = turnOf(tenant, segments, { groups: ['g1', 'g2'], arm: 'canary' })
      await keep(turn)
      await Promise.all([keep(turn), keep(turn, turn)])
      const shared = { turn: turn.turn, at: turn.endedAt, user: 'ana', groups: ['g1', 'g2'] }
      const served = { specialist: 'helper', config: 'v1', arm: 'canary', inputTokens: 10, outputTokens: 3 } as const
      assert.deepEqual(await listed(ledger, tenant), [
        { ...shared, ...served, segment: 0, model: 'primary', costUsd: 0.25, outcome: 'failed', estimated: true },
        { ...shared, ...served, segment: 1, model: 'backup', costUsd: 1e-7, outcome: 'completed', estimated: false },
      ] satisfies LedgerEntry[])
    })

    test('what is spent is counted by tenant, person and group, from a moment on', async () => {
      const tenant = randomUUID()
      await keep(
        turnOf(tenant, [called(0.1), called(0.2)], { groups: ['g1'] }),
        turnOf(tenant, [called(0.4)], { principal: 'bob', groups: ['g1', 'g2'], endedAt: NOVEMBER + 20 * DAY }),
        turnOf(tenant, [called(8)], { principal: 'bob', endedAt: NOVEMBER - 1 }),
        turnOf(randomUUID(), [called(99)], { groups: ['g1'] }),
      )
      assert.equal(await ledger.spent(tenant, {}, NOVEMBER), 0.7)
      assert.equal(await ledger.spent(tenant, {}, 0), 8.7)
      assert.equal(await ledger.spent(tenant, { user: 'ana' }, 0), 0.3)
      assert.equal(await ledger.spent(tenant, { user: 'bob' }, NOVEMBER), 0.4)
      assert.equal(await ledger.spent(tenant, { group: 'g1' }, 0), 0.7)
      assert.equal(await ledger.spent(tenant, { group: 'g2' }, NOVEMBER + 21 * DAY), 0)
      assert.equal(await ledger.spent(randomUUID(), {}, 0), 0)
    })

    test('sums are by day, specialist and model, of all or of one; a month ends before the next', async () => {
      const tenant = randomUUID()
      await keep(
        turnOf(tenant, [called(0.1), called(0.2)]),
        turnOf(tenant, [called(0.3)], { principal: 'bob' }),
        turnOf(tenant, [called(1, { model: 'backup' })], { endedAt: NOVEMBER }),
        turnOf(tenant, [called(1)], { endedAt: DECEMBER - 1, specialist: 'apollo' }),
        turnOf(tenant, [called(7)], { endedAt: DECEMBER }),
      )
      const tokens = (calls: number) => ({ calls, inputTokens: 10 * calls, outputTokens: 3 * calls })
      const helper = { specialist: 'helper', model: 'primary', day: '2026-11-06' }
      assert.deepEqual(await ledger.usage(tenant, {}, november), [
        { day: '2026-11-01', specialist: 'helper', model: 'backup', ...tokens(1), costUsd: 1 },
        { ...helper, ...tokens(3), costUsd: 0.6 },
        { day: '2026-11-30', specialist: 'apollo', model: 'primary', ...tokens(1), costUsd: 1 },
      ])
      assert.deepEqual(await ledger.usage(tenant, { user: 'bob' }, november), [
        { ...helper, ...tokens(1), costUsd: 0.3 },
      ])
      assert.deepEqual(await ledger.usage(tenant, { user: 'nobody' }, november), [])
      assert.deepEqual(await ledger.total(tenant, {}, november), { ...tokens(5), costUsd: 2.6 })
      assert.deepEqual(await ledger.total(tenant, { user: 'bob' }, november), { ...tokens(1), costUsd: 0.3 })
      assert.deepEqual(await ledger.total(tenant, { user: 'nobody' }, november), { ...tokens(0), costUsd: 0 })
    })

    test('copies in the shadow are nobody’s, add up apart from what was served, and count towards no budget', async () => {
      const tenant = randomUUID()
      const copy = { copy: newId('copy'), tenant, specialist: 'helper', config: 'v2', segments: [called(0.3)] }
      const bill = billOfCopy({ ...copy, endedAt: NOVEMBER + 5 * DAY })
      await keep(turnOf(tenant, [called(0.1), called(0.2)]))
      await Promise.all([ledger.keep([bill]), ledger.keep([bill, bill])])
      const entry = (await listed(ledger, tenant)).find(({ turn }) => turn === copy.copy)
      assert.deepEqual([entry?.arm, entry?.user, entry?.config, entry?.costUsd], ['shadow', '', 'v2', 0.3])
      const helper = { specialist: 'helper', model: 'primary', day: '2026-11-06' }
      const tokens = (calls: number) => ({ calls, inputTokens: 10 * calls, outputTokens: 3 * calls })
      const items = await ledger.usage(tenant, {}, november)
      assert.deepEqual(items, [
        { ...helper, ...tokens(2), costUsd: 0.3 },
        { ...helper, ...tokens(1), costUsd: 0.3, shadow: true },
      ])
      assert.equal((await ledger.total(tenant, {}, november)).costUsd, sumDecimals(items.map(({ costUsd }) => costUsd)))
      assert.equal((await ledger.total(tenant, { user: 'ana' }, november)).costUsd, 0.3)
      assert.equal(await ledger.spent(tenant, {}, 0), 0.3)
    })

    test('figures stay when a person goes, and are nobody’s', async () => {
      const tenant = randomUUID()
      const bill = turnOf(tenant, [called(0.1), called(0.2)])
      await keep(bill, turnOf(tenant, [called(0.4)], { principal: 'bob' }))
      assert.equal(await ledger.disown(tenant, 'ana'), 2)
      assert.equal(await ledger.disown(tenant, 'ana'), 0)
      await keep(bill)
      assert.equal(await ledger.spent(tenant, {}, 0), 0.7)
      assert.equal(await ledger.spent(tenant, { user: 'ana' }, 0), 0)
      assert.deepEqual(new Set((await listed(ledger, tenant)).map(({ user }) => user)), new Set(['', 'bob']))
    })

    test('several as one bill are kept once, and those of people who go at the same time are nobody’s', async () => {
      const tenant = randomUUID()
      const people = ['ana', 'bob', 'cleo', 'dan']
      const turns = people.map((principal) => turnOf(tenant, [called(0.1), called(0.2)], { principal }))
      const [first, ...others] = turns.map(billOfTurn)
      assert.ok(first)
      const bill = { ...first, entries: [first, ...others].flatMap(({ entries }) => entries) }
      await ledger.keep([bill])
      await ledger.keep([bill])
      assert.equal((await listed(ledger, tenant)).length, 8)
      assert.equal(await ledger.spent(tenant, { user: 'bob' }, 0), 0.3)
      const gone = await Promise.all(people.slice(1).map((person) => ledger.disown(tenant, person)))
      assert.deepEqual(gone, [2, 2, 2])
      const users = (await listed(ledger, tenant)).map(({ user }) => user).filter((user) => user !== '')
      assert.deepEqual(users, ['ana', 'ana'])
      assert.equal(await ledger.spent(tenant, {}, 0), 1.2)
    })

    test('many pages come whole', async () => {
      const tenant = randomUUID()
      const turns = Array.from({ length: 1200 }, () => turnOf(tenant, [called(0.01), called(0.02)]))
      await ledger.keep(turns.map(billOfTurn))
      const all = await listed(ledger, tenant)
      assert.equal(all.length, 2400)
      assert.equal(new Set(all.map(({ turn, segment }) => `${turn}/${segment}`)).size, 2400)
      assert.equal(await ledger.spent(tenant, {}, 0), 36)
    })

    test('it adds up to the receipts exactly, whatever turns there are, in whatever order they are told', async () => {
      const cost = fc.oneof(
        fc.constant(0),
        fc.tuple(fc.nat(2_000_000), fc.nat(1000)).map(([tokens, price]) => (tokens * (price / 7)) / 1_000_000),
        fc.double({ min: 1e-9, max: 1000, noNaN: true }),
      )
      const tokens = fc.nat(2_000_000)
      const segment = fc.record({
        inputTokens: tokens,
        outputTokens: tokens,
        costUsd: cost,
        model: fc.constantFrom('a', 'b'),
      })
      const turns = fc.array(
        fc.record({
          segments: fc.array(segment, { maxLength: 4 }),
          principal: fc.constantFrom('ana', 'bob'),
          endedAt: fc.integer({ min: NOVEMBER, max: DECEMBER - 1 }),
        }),
        { minLength: 1, maxLength: 12 },
      )
      await fc.assert(
        fc.asyncProperty(turns, fc.nat(), async (given, order) => {
          const tenant = randomUUID()
          const told = given.map(({ segments, ...more }) =>
            turnOf(
              tenant,
              segments.map((one) => called(0, one)),
              more,
            ),
          )
          const again = told.filter((_, index) => (order >> index) & 1)
          for (const part of [told.slice(order % told.length), again, told]) await keep(...part)
          const entries = await listed(ledger, tenant)
          const segments = told.flatMap((turn) => turn.segments)
          assert.equal(entries.length, segments.length)
          for (const turn of told) {
            const kept = entries.filter((entry) => entry.turn === turn.turn).sort((a, b) => a.segment - b.segment)
            // The receipt adds its segments in their order.
            const sumOf = (all: readonly { costUsd: number }[]) => all.reduce((sum, { costUsd }) => sum + costUsd, 0)
            assert.equal(sumOf(kept), sumOf(turn.segments))
          }
          const sums = await ledger.usage(tenant, {}, november)
          const total = await ledger.total(tenant, {}, november)
          assert.equal(total.costUsd, sumDecimals(segments.map(({ costUsd }) => costUsd)))
          assert.equal(total.calls, segments.length)
          for (const figure of ['inputTokens', 'outputTokens'] as const) {
            const sum = (all: readonly Record<typeof figure, number>[]) =>
              all.reduce((total, one) => total + one[figure], 0)
            assert.equal(sum(sums), sum(segments))
          }
          const exact = sumDecimals(segments.map(({ costUsd }) => costUsd))
          assert.equal(await ledger.spent(tenant, {}, 0), exact)
          assert.equal(sumDecimals(entries.map(({ costUsd }) => costUsd)), exact)
        }),
        { numRuns: 30 },
      )
    })
  })
}

ledgerContract('PostgreSQL', createSqlLedger(sql))
ledgerContract('SQLite', createKvLedger({ kv: onSqlite, clock: systemClock, keepMs: KEEP_MS }))
ledgerContract('Redis', createKvLedger({ kv: onRedis, clock: systemClock, keepMs: KEEP_MS }))

test('PostgreSQL shows a tenant its own entries only, takes no changes of figures and no deletions', async () => {
  const [mine, theirs] = [randomUUID(), randomUUID()]
  const ledger = createSqlLedger(sql)
  await ledger.keep([billOfTurn(turnOf(mine, [called(1)])), billOfTurn(turnOf(theirs, [called(2)]))])
  const seen = await sql.query({ tenant: mine }, 'SELECT DISTINCT tenant FROM ledger')
  assert.deepEqual(seen, [{ tenant: mine }])
  for (const scope of [{ tenant: mine }, 'system'] as const) {
    for (const change of ['UPDATE ledger SET cost_usd = 0', 'DELETE FROM ledger', 'TRUNCATE ledger']) {
      await assert.rejects(sql.query(scope, change), { code: '42501' }, `${change} as ${JSON.stringify(scope)}`)
    }
  }
  assert.equal(await ledger.spent(theirs, {}, 0), 2)
})

test('PostgreSQL gives up what is past its time, of every tenant, and nothing that is younger', async () => {
  const tenants = [randomUUID(), randomUUID()]
  const ledger = createSqlLedger(sql)
  const [old, limit] = [Date.UTC(2025, 9, 31), Date.UTC(2025, 10, 1)]
  const turns = tenants.flatMap((tenant) => [
    turnOf(tenant, [called(1), called(2)], { endedAt: old }),
    turnOf(tenant, [called(4)], { endedAt: limit - 1 }),
    turnOf(tenant, [called(8)], { endedAt: limit }),
    turnOf(tenant, [called(16)]),
  ])
  await ledger.keep(turns.map(billOfTurn))
  const [tenant = ''] = tenants
  const kept = await listed(ledger, tenant, { from: limit, to: DECEMBER })
  assert.equal(await ledger.prune(limit), 6)
  assert.equal(await ledger.prune(limit), 0)
  for (const each of tenants) assert.equal(await ledger.spent(each, {}, 0), 24)
  assert.deepEqual(await listed(ledger, tenant, { from: 0, to: DECEMBER }), kept)
})

test('PostgreSQL gives up nothing of the last 60 days, whatever a process takes the time for', async () => {
  const tenant = randomUUID()
  const ledger = createSqlLedger(sql)
  const now = Date.now()
  await ledger.keep([
    billOfTurn(turnOf(tenant, [called(1)], { endedAt: now - 61 * DAY })),
    billOfTurn(turnOf(tenant, [called(2)], { endedAt: now - 59 * DAY })),
  ])
  await assert.rejects(ledger.prune(now), { code: '42501' })
  assert.equal(await ledger.spent(tenant, {}, 0), 3)
  await ledger.prune(now - 60 * DAY - 1000)
  assert.equal(await ledger.spent(tenant, {}, 0), 2)
  await assert.rejects(sql.query({ tenant }, 'DELETE FROM ledger'), { code: '42501' })
})

test('two replicas that prune at once take each entry out once', async () => {
  const tenant = randomUUID()
  const ledger = createSqlLedger(sql)
  const turns = Array.from({ length: 300 }, (_, at) => turnOf(tenant, [called(1), called(1)], { endedAt: 1000 + at }))
  await ledger.keep(turns.map(billOfTurn))
  const gone = await Promise.all([ledger.prune(5000), createSqlLedger(sql).prune(5000)])
  assert.equal(gone[0] + gone[1], 600)
  assert.equal(await ledger.spent(tenant, {}, 0), 0)
})

test('in the live state a month goes as a whole, when its last day is past its time, after an erasure as well', async () => {
  let now = NOVEMBER + 20 * DAY
  // Its timers run as ever: months of them would take minutes.
  const clock = { ...systemClock, now: () => now }
  const { log } = common
  const kv = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, clock, log, tokens: common.tokens })
  try {
    const tenant = randomUUID()
    const ledger = createKvLedger({ kv, clock, keepMs: 100 * DAY })
    const [early, late] = [NOVEMBER, DECEMBER - 1].map((endedAt) => turnOf(tenant, [called(1)], { endedAt }))
    assert.ok(early && late)
    await ledger.keep([billOfTurn(early), billOfTurn(late)])
    await ledger.keep([billOfTurn(turnOf(tenant, [called(4)], { principal: 'bob', endedAt: DECEMBER }))])
    assert.equal(await ledger.disown(tenant, 'ana'), 2)
    now = DECEMBER + 100 * DAY - 1
    assert.equal(await ledger.spent(tenant, {}, 0), 6)
    now += 1
    assert.equal(await ledger.spent(tenant, {}, 0), 4)
    assert.deepEqual(await listed(ledger, tenant), [])
    now += 31 * DAY
    assert.equal(await ledger.spent(tenant, {}, 0), 0)
    assert.equal(await ledger.prune(DECEMBER), 0)
  } finally {
    await kv.close()
  }
})
