import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ADVANCE_AT, advanceRate, grids, hardGuard, logAdvance, logE, logEOfBoth, rollbackAt } from './evidence.ts'
import { ALPHA, type CohortCounts, metrics, shares } from './metrics.ts'

const near = (actual: number, expected: number, within = 5e-6) =>
  assert.ok(Math.abs(actual - expected) < within, `${actual} is not ${expected}`)

const cohort = fc.record({
  weight: fc.double({ min: 0.001, max: 0.999, noNaN: true }),
  canary: fc.nat(500),
  control: fc.nat(500),
})
const cohorts = fc.array(cohort, { minLength: 1, maxLength: 5 })

test('ln E has its golden values', () => {
  near(logE([{ weight: 0.05, canary: 3, control: 1 }]), 5.45087)
  near(logE([{ weight: 0.05, canary: 0, control: 10 }]), -1.03219)
  near(
    logE([
      { weight: 0.05, canary: 2, control: 6 },
      { weight: 0.25, canary: 9, control: 8 },
      { weight: 0.5, canary: 4, control: 5 },
    ]),
    1.57711,
  )
})

test('nothing counted is no evidence', () => {
  for (const grid of Object.values(grids)) {
    near(logE([], grid), 0, 1e-12)
    near(logE([{ weight: 0.05, canary: 0, control: 0 }], grid), 0, 1e-12)
  }
  near(logEOfBoth([], []), 0, 1e-12)
})

test('the order of cohorts says nothing, and a cohort may be told in parts', () => {
  fc.assert(
    fc.property(cohorts, (counts) => {
      near(logE(counts.toReversed()), logE(counts), 1e-6)
      const parts = counts.flatMap(({ weight, canary, control }) => [
        { weight, canary, control: 0 },
        { weight, canary: 0, control },
      ])
      near(logE(parts), logE(counts), 1e-6)
    }),
  )
})

test('each bad unit of the canary is evidence, each of stable is some against it', () => {
  fc.assert(
    fc.property(cohorts, fc.nat(), (counts, at) => {
      const with1 = (arm: 'canary' | 'control') =>
        counts.map((count, index) => (index === at % counts.length ? { ...count, [arm]: count[arm] + 1 } : count))
      assert.ok(logE(with1('canary')) > logE(counts))
      assert.ok(logE(with1('control')) < logE(counts))
    }),
  )
})

test('without a difference the expectation of E stays one, whatever the next unit is and however often one looks', () => {
  fc.assert(
    fc.property(fc.array(cohort, { minLength: 1, maxLength: 3 }), (counts) => {
      const [first, ...rest] = counts as [CohortCounts, ...CohortCounts[]]
      for (const grid of Object.values(grids)) {
        const e = (canary: number, control: number) =>
          logE([{ ...first, canary: first.canary + canary, control: first.control + control }, ...rest], grid) -
          logE(counts, grid)
        const { weight } = first
        near(weight * Math.exp(e(1, 0)) + (1 - weight) * Math.exp(e(0, 1)), 1, 1e-6)
      }
    }),
  )
})

test('the average of two thresholds lies between them', () => {
  fc.assert(
    fc.property(cohorts, cohorts, (p50, p90) => {
      const both = [logE(p50, grids.p50), logE(p90, grids.p90)]
      const mean = logEOfBoth(p50, p90)
      assert.ok(mean >= Math.min(...both) - 1e-9 && mean <= Math.max(...both) + 1e-9)
      assert.ok(mean >= Math.max(...both) - Math.log(2) - 1e-9)
    }),
  )
})

test('shares are of one whole; a metric rolls back at one over its part of alpha', () => {
  near(
    metrics.reduce((sum, metric) => sum + shares[metric], 0),
    1,
    1e-12,
  )
  assert.equal(ALPHA, 0.01)
  const limits = metrics.map((metric) => Math.round(Math.exp(rollbackAt(metric)) * 100) / 100)
  assert.deepEqual(limits, [333.33, 500, 500, 666.67, 1000, 2000])
})

test('the rate that must not be reached is ten, five and three points above that of stable', () => {
  for (const [step, rate] of [0.12, 0.07, 0.05, 0.05, 0.05].entries()) near(advanceRate(0.02, step), rate, 1e-12)
  assert.equal(advanceRate(0.95, 0), 0.99)
  assert.equal(advanceRate(1, 5), 0.99)
})

test('sound trials advance at the count that one can reckon by hand', () => {
  // Each sound trial multiplies by (1 − p) / (1 − u) in each part of the mixture, here of u = 0.11.
  const e = (trials: number) =>
    [0.05, 0.2, 0.4, 0.6, 0.8].reduce((sum, share) => sum + ((1 - 0.11 * share) / 0.89) ** trials, 0) / 5
  const count = Array.from({ length: 100 }, (_, trials) => trials).find((trials) => e(trials) >= ADVANCE_AT)
  assert.equal(ADVANCE_AT, 20)
  assert.equal(count, 36)
  assert.ok(logAdvance({ trials: 35, errors: 0 }, 0.11) < Math.log(ADVANCE_AT))
  assert.ok(logAdvance({ trials: 36, errors: 0 }, 0.11) >= Math.log(ADVANCE_AT))
  // An error multiplies each part by its share: it has to be made good by 22 more.
  assert.ok(logAdvance({ trials: 57, errors: 1 }, 0.11) < Math.log(ADVANCE_AT))
  assert.ok(logAdvance({ trials: 58, errors: 1 }, 0.11) >= Math.log(ADVANCE_AT))
  near(logAdvance({ trials: 1, errors: 1 }, 0.11), Math.log((0.05 + 0.2 + 0.4 + 0.6 + 0.8) / 5), 1e-12)
})

test('an error speaks against advancing, a sound trial for it; none is no evidence', () => {
  assert.equal(logAdvance({ trials: 0, errors: 0 }, 0.11), 0)
  fc.assert(
    fc.property(fc.nat(1000), fc.nat(1000), fc.double({ min: 0.01, max: 0.99, noNaN: true }), (sound, errors, rate) => {
      const now = logAdvance({ trials: sound + errors, errors }, rate)
      assert.ok(logAdvance({ trials: sound + errors + 1, errors }, rate) > now)
      assert.ok(logAdvance({ trials: sound + errors + 1, errors: errors + 1 }, rate) < now)
    }),
  )
})

test('at the rate that must not be reached the expectation of the evidence stays one', () => {
  fc.assert(
    fc.property(fc.nat(200), fc.nat(200), fc.double({ min: 0.01, max: 0.99, noNaN: true }), (sound, errors, rate) => {
      const now = logAdvance({ trials: sound + errors, errors }, rate)
      const next = (error: 0 | 1) =>
        Math.exp(logAdvance({ trials: sound + errors + 1, errors: errors + error }, rate) - now)
      near(rate * next(1) + (1 - rate) * next(0), 1, 1e-6)
    }),
  )
})

test('the hard guard needs six bad, half of the last twenty, and its evidence: all three', () => {
  const logAtGuard = Math.log(333)
  const last = (bad: number, of = 20) => Array.from({ length: of }, (_, at) => at < bad)
  const guard = { bad: 6, last: last(10), logE: logAtGuard }
  assert.ok(hardGuard(guard))
  assert.ok(!hardGuard({ ...guard, bad: 5 }))
  assert.ok(!hardGuard({ ...guard, last: last(9) }))
  assert.ok(!hardGuard({ ...guard, logE: Math.log(332.9) }))
  assert.ok(!hardGuard({ ...guard, last: [] }))
  // Older ones are out of sight.
  assert.ok(!hardGuard({ ...guard, last: last(10, 40) }))
  assert.ok(hardGuard({ ...guard, last: last(10, 40).toReversed() }))
})

test('whatever is counted, the evidence is a number', () => {
  const huge = [0, 1, 1e6, 1e9, Number.MAX_SAFE_INTEGER]
  for (const weight of [1e-6, 0.05, 0.5, 1 - 1e-6]) {
    for (const canary of huge) {
      for (const control of huge) {
        for (const grid of Object.values(grids)) {
          assert.ok(Number.isFinite(logE([{ weight, canary, control }], grid)), `${weight} ${canary} ${control}`)
        }
      }
    }
  }
  for (const trials of huge) {
    for (const rate of [advanceRate(0, 2), 0.5, 0.99]) {
      assert.ok(Number.isFinite(logAdvance({ trials, errors: 0 }, rate)))
      assert.ok(Number.isFinite(logAdvance({ trials, errors: trials }, rate)))
    }
  }
})
