import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Counters, counted } from '#config/rollout/counters.ts'
import { createCounterStore, type Observation } from '#config/rollout/store/counter-store.ts'
import { counterKeys } from '#config/rollout/store/keys.ts'
import { keepNewest, sumOf } from '#config/rollout/store/records.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { key } from '#platform/kv/kv.ts'
import { openKv } from '#platform/kv/open.ts'
import { manualClock } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'

const STEPS = 3
const common = {
  clock: systemClock,
  log: createLog('silent'),
  tokens: { token: async () => ({ token: '', expiresAt: 0 }) },
}

/** The two stores have clocks of their own. */
function timeless({ lastCanaryAt, breachAt, ...counters }: Counters) {
  return { ...counters, hasTurns: lastCanaryAt !== null, isBroken: breachAt !== null }
}

const seen: fc.Arbitrary<Omit<Observation, 'rollout'>> = fc.record({
  step: fc.nat({ max: STEPS - 1 }),
  arm: fc.constantFrom('canary', 'control'),
  unit: fc.nat({ max: 30 }).map((n) => `conv_${n}`),
  bad: fc.uniqueArray(fc.constantFrom(...counted), { maxLength: 3 }),
  turn: fc.constantFrom('ok', 'ok', 'failed', 'fault', 'aside', undefined),
  trialOf: fc.nat({ max: 10 }).map((n) => `somebody with an odd name ${n}`),
})

test('both live states count alike, whatever is seen and however often it is told', async () => {
  await using server = await startRedis()
  const redis = await openKv({ env: { engine: 'redis', url: server.url, cluster: false, auth: 'url' }, ...common })
  const sqlite = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...common })
  const stores = [redis, sqlite].map((kv) => createCounterStore(kv, { trialClosesMs: 0 }))
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(seen, { maxLength: 30 }), { maxLength: 4 }), async (ticks) => {
        const rollout = `roll_${randomUUID()}`
        const play = async (store: (typeof stores)[number]) => {
          const said: unknown[] = []
          await store.begin(rollout)
          for (const tick of ticks) {
            said.push(await Promise.all(tick.map((one) => store.observe({ ...one, rollout }))))
            await store.addControl(rollout, 1, tick.length)
            for (const { arm } of tick.filter(({ turn }) => turn === 'failed'))
              said.push(await store.breached(rollout, arm))
            await store.closeTrials(rollout)
            const { counters } = await store.read(rollout, STEPS)
            said.push(counters === 'lost' ? counters : timeless(counters))
          }
          return said
        }
        const [expected, answered] = await Promise.all(stores.map(play))
        assert.deepEqual(answered, expected)
      }),
      { numRuns: 60 },
    )
  } finally {
    await Promise.all([redis.close(), sqlite.close()])
  }
})

test('both keep the newest state, the first order, and sums over records', async () => {
  await using server = await startRedis()
  const redis = await openKv({ env: { engine: 'redis', url: server.url, cluster: false, auth: 'url' }, ...common })
  const sqlite = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...common })
  for (const kv of [redis, sqlite]) {
    const at = key('rollout', 'state')
    for (const epoch of [3, 5, 4]) await kv.run(keepNewest, [at], [epoch, `state ${epoch}`])
    assert.equal((await kv.get(at))?.value.toString(), 'state 5')
    const store = createCounterStore(kv, { trialClosesMs: 0 })
    const order = { rollout: 'roll_1', by: 'system', operator: null, reason: 'Bad.', evidence: null, at: 1 }
    assert.equal((await store.order(order)).reason, 'Bad.')
    assert.equal((await store.order({ ...order, reason: 'Worse.' })).reason, 'Bad.')
    assert.deepEqual(await store.ordered('roll_1'), order)
    assert.equal(await store.ordered('roll_2'), undefined)
    await store.addControl('sums', 1, 4)
    await store.addControl('sums', 1, 3)
    const records = [counterKeys('sums').counts, key('sums', 'none')]
    assert.deepEqual(await kv.run(sumOf, records, ['control:1', 'control:2']), [7, 0])
  }
  await Promise.all([redis.close(), sqlite.close()])
})

test('counters that nobody laid down are lost, whatever is counted into them', async () => {
  const kv = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...common })
  const store = createCounterStore(kv, { trialClosesMs: 0 })
  const observation = { rollout: 'roll_1', step: 0, unit: 'conv_1', bad: [], trialOf: 'ada' } as const
  await store.observe({ ...observation, arm: 'canary', turn: 'ok' })
  assert.equal((await store.read('roll_1', 1)).counters, 'lost')
  await kv.close()
})

test('the newest twenty units of the canary are kept in order, and know of their first fault', async () => {
  const kv = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...common })
  const store = createCounterStore(kv, { trialClosesMs: 0 })
  await store.begin('roll_1')
  const see = (n: number, isBad: boolean) =>
    store.observe({
      ...{ rollout: 'roll_1', step: 0, arm: 'canary', unit: `conv_${n}`, trialOf: `p${n}` },
      ...{ bad: isBad ? ['turn-error'] : [], turn: isBad ? 'failed' : 'ok' },
    })
  for (let n = 0; n < 25; n++) await see(n, n === 3 || n === 24)
  await see(20, true)
  await see(2, true)
  const { counters } = await store.read('roll_1', 1)
  const recent = counters === 'lost' ? [] : counters.recent
  assert.deepEqual(
    recent.flatMap((isBad, at) => (isBad ? [at + 5] : [])),
    [20, 24],
  )
  assert.equal(recent.length, 20)
  await kv.close()
})

test('faults are in a row although a circuit keeps turns from the model in between, and no longer once it has answered', async () => {
  const kv = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...common })
  const store = createCounterStore(kv, { trialClosesMs: 0 })
  await store.begin('roll_1')
  const inRow = async (...turns: ('ok' | 'fault' | 'aside')[]) => {
    let faults = 0
    for (const turn of turns) {
      const unit = randomUUID()
      await store.observe({ rollout: 'roll_1', step: 0, arm: 'canary', unit, trialOf: unit, bad: [], turn })
      const { counters } = await store.read('roll_1', 1)
      faults = counters === 'lost' ? -1 : counters.faultsInRow
    }
    return faults
  }
  assert.equal(await inRow('fault', 'aside', 'aside', 'fault'), 2)
  assert.equal(await inRow('ok'), 0)
  assert.equal(await inRow('fault', 'aside', 'fault', 'aside', 'fault'), 3)
  await kv.close()
})

/** In a store whose time is the test's: faults and broken budgets of both arms, in their order. */
async function played(
  steps: readonly (readonly [afterMs: number, arm: 'canary' | 'control', what: 'fault' | 'breach'])[],
) {
  const clock = manualClock()
  const kv = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, ...common, clock })
  const store = createCounterStore(kv, { trialClosesMs: 0 })
  await store.begin('roll_1')
  for (const [afterMs, arm, what] of steps) {
    clock.advance(afterMs)
    const unit = randomUUID()
    if (what === 'breach') await store.breached('roll_1', arm)
    else await store.observe({ rollout: 'roll_1', step: 0, arm, unit, trialOf: unit, bad: [], turn: 'fault' })
  }
  const { counters, now } = await store.read('roll_1', 1)
  await kv.close()
  if (counters === 'lost') throw new Error('They were laid down.')
  return { inRow: counters.faultsInRow, brokenAgoMs: counters.breachAt === null ? null : now - counters.breachAt }
}

const MINUTE = 60_000

test('faults of stable between those of the canary, or in the minute before one, keep these from being in a row', async () => {
  const canary = (afterMs: number) => [afterMs, 'canary', 'fault'] as const
  const stable = (afterMs: number) => [afterMs, 'control', 'fault'] as const
  const inRow = async (...steps: Parameters<typeof played>[0]) => (await played(steps)).inRow
  assert.equal(await inRow(canary(0), canary(1000), canary(1000)), 3)
  assert.equal(await inRow(canary(0), canary(1000), stable(1000), canary(1000), canary(1000)), 0)
  assert.equal(await inRow(stable(0), canary(MINUTE), canary(1), canary(1)), 2)
  assert.equal(await inRow(canary(0), canary(1), stable(1), canary(MINUTE + 1), canary(1)), 2)
})

test('one fault of stable, long ago, shields no candidate whose model is not to be had', async () => {
  const faults = Array.from({ length: 4 }, () => [MINUTE + 1, 'canary', 'fault'] as const)
  const { inRow } = await played([[0, 'canary', 'fault'], [1, 'control', 'fault'], ...faults])
  assert.equal(inRow, 4)
})

test('a budget that the canary broke stands alone unless stable broke one in the minute before or after', async () => {
  const canary = (afterMs: number) => [afterMs, 'canary', 'breach'] as const
  const stable = (afterMs: number) => [afterMs, 'control', 'breach'] as const
  const broken = async (...steps: Parameters<typeof played>[0]) => (await played(steps)).brokenAgoMs
  assert.equal(await broken(), null)
  assert.equal(await broken(stable(0)), null)
  assert.equal(await broken(canary(0)), 0)
  assert.equal(await broken(canary(0), stable(MINUTE)), null)
  assert.equal(await broken(canary(0), stable(MINUTE + 1)), MINUTE + 1)
  assert.equal(await broken(stable(0), canary(MINUTE)), null)
  assert.equal(await broken(stable(0), canary(MINUTE + 1)), 0)
  assert.equal(await broken(canary(0), stable(2 * MINUTE), canary(1)), 2 * MINUTE + 1)
})
