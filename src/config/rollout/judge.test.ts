import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Counted, type Counters, noCounts, type StepCounts } from './counters.ts'
import { COMPARABLE_WITHIN_MS, judge, QUIET_MS, STEP_TIMEOUT_MS } from './judge.ts'
import type { Judged } from './verdict.ts'

const MINUTE = 60_000
const START = Date.UTC(2026, 0, 5, 12)

const live: Judged = {
  candidate: { version: 'v2', hash: 'h2' },
  status: 'canary',
  paused: null,
  step: 0,
  steps: [
    { weight: 5, conversations: 50 },
    { weight: 25, conversations: 100 },
  ],
  bakeMs: 15 * MINUTE,
  waived: [],
  baseline: {
    trials: 1000,
    errorRate: 0.01,
    firstTokenMs: { p50: 300, p90: 900 },
    costUsd: { p50: 0.001, p90: 0.004 },
  },
  since: START,
}

function step(bad: Partial<Record<Counted, [canary: number, control: number]>>, trials = {}): StepCounts {
  const none = noCounts()
  const counts = Object.entries(bad).map(([name, [canary, control]]) => [name, { canary, control }])
  return { bad: { ...none.bad, ...Object.fromEntries(counts) }, trials: { ...none.trials, ...trials } }
}

function counters(steps: StepCounts[], more: Partial<Counters> = {}): Counters {
  return { steps, recent: [], faultsInRow: 0, breachAt: null, lastCanaryAt: START, ...more }
}

test('a version all of whose turns fail is rolled back after three conversations at 5 %', () => {
  assert.equal(judge(live, counters([step({ 'turn-error': [2, 0] })]), START).decision, 'hold')
  const verdict = judge(live, counters([step({ 'turn-error': [3, 0] })]), START)
  assert.deepEqual(verdict.decision === 'roll-back' && verdict.why, { kind: 'evidence', metric: 'turn-error' })
  assert.match(verdict.sentence, /^Roll back: 3 of 3 conversations with failed turns are of v2 \(E .*, limit 333\)\.$/)
})

test('an outage that both arms share rolls nothing back, however many fail', () => {
  const shared = step({ 'turn-error': [25, 475], 'not-completed': [50, 950], 'first-token-slow.p50': [50, 950] })
  assert.equal(judge(live, counters([shared]), START).decision, 'hold')
})

test('outcomes of earlier steps are weighed by their own weight', () => {
  const second = { ...live, step: 1 }
  // At 25 % four of four would be little; at 5 %, where they were assigned, they are much.
  assert.equal(judge(second, counters([noCounts(), step({ 'turn-error': [4, 0] })]), START).decision, 'hold')
  assert.equal(judge(second, counters([step({ 'turn-error': [4, 0] }), noCounts()]), START).decision, 'roll-back')
})

test('a waived metric is not judged, and its share helps no other', () => {
  const dear = counters([step({ 'cost-high.p50': [60, 10], 'cost-high.p90': [60, 10], 'turn-error': [2, 0] })])
  assert.equal(judge(live, dear, START).decision, 'roll-back')
  const waived = judge({ ...live, waived: ['cost-high'] }, dear, START)
  assert.equal(waived.decision, 'hold')
  const threshold = waived.figures.metrics.find(({ metric }) => metric === 'turn-error')?.threshold
  assert.equal(Math.round(threshold ?? 0), 333)
})

test('of two thresholds the mean of both is judged', () => {
  const one = judge(live, counters([step({ 'first-token-slow.p50': [0, 0], 'first-token-slow.p90': [5, 0] })]), START)
  const e = one.figures.metrics.find(({ metric }) => metric === 'first-token-slow')?.e ?? 0
  const p90 = [1.25, 1.5, 2, 3, 5, 8].map((theta) => (theta / (theta * 0.05 + 0.95)) ** 5)
  const mean = p90.reduce((sum, term) => sum + term, 0) / p90.length
  assert.ok(Math.abs(e - (1 + mean) / 2) < 1e-6)
})

test('three deterministic faults in a row are enough', () => {
  const faults = (faultsInRow: number) => judge(live, counters([noCounts()], { faultsInRow }), START).decision
  assert.deepEqual([faults(2), faults(3)], ['hold', 'roll-back'])
})

/** So many conversations of the canary, each dear, beside those of stable, of which a half and a tenth are. */
function dear(conversations: number, weight = 5): StepCounts {
  const control = (conversations * (100 - weight)) / weight
  const p90: [number, number] = [conversations, Math.round(control / 10)]
  return step({ 'cost-high.p50': [conversations, Math.round(control / 2)], 'cost-high.p90': p90 })
}

test('a budget that the canary brought to its end rolls it back where it costs more, in fewer conversations than high costs alone', () => {
  const enough = (more: Partial<Counters>, at = live, weight = 5) =>
    Array.from({ length: 60 }, (_, n) => n).find(
      (n) => judge(at, counters([dear(n, weight)], more), START).decision === 'roll-back',
    )
  assert.deepEqual([enough({ breachAt: START }), enough({})], [5, 8])
  const half = { ...live, steps: [{ weight: 50, conversations: 50 }] }
  assert.deepEqual([enough({ breachAt: START }, half, 50), enough({}, half, 50)], [20, 21])
  const verdict = judge(live, counters([dear(6)], { breachAt: START }), START)
  assert.deepEqual(verdict.decision === 'roll-back' && verdict.why, { kind: 'budget' })
  assert.match(verdict.sentence, /^Roll back: a budget came to its end by a call of v2, none by stable .* more \(E /)
})

test('a budget that comes to its end by a call of a canary that costs no more rolls nothing back', () => {
  const alike = step({ 'cost-high.p50': [25, 475], 'cost-high.p90': [5, 95] })
  assert.equal(judge(live, counters([alike], { breachAt: START + MINUTE }), START).decision, 'hold')
})

test('that it may cost more does not say that it may leave others nothing', () => {
  const waived: Judged = { ...live, waived: ['cost-high'] }
  assert.equal(judge(waived, counters([dear(9)]), START).decision, 'hold')
  assert.equal(judge(waived, counters([dear(9)], { breachAt: START }), START).decision, 'roll-back')
})

test('without a baseline a person decides whose spending it was, and is not asked about the same end again', () => {
  const lone = { ...live, baseline: null }
  const broken = counters([noCounts()], { breachAt: START + MINUTE })
  const verdict = judge(lone, broken, START + MINUTE)
  assert.deepEqual(verdict.decision === 'pause' && [verdict.cause, verdict.why], ['incomparable', 'budget'])
  assert.equal(judge({ ...lone, since: START + 2 * MINUTE }, broken, START + 2 * MINUTE).decision, 'hold')
})

test('at a higher weight more faults in a row are asked for: an outage of both arms hits the canary several times running', () => {
  const enough = (weight: number) => {
    const at = { ...live, steps: [{ weight, conversations: 50 }] }
    const decided = (faultsInRow: number) => judge(at, counters([noCounts()], { faultsInRow }), START).decision
    return Array.from({ length: 20 }, (_, n) => n).find((inRow) => decided(inRow) === 'roll-back')
  }
  assert.deepEqual([5, 10, 25, 50].map(enough), [3, 3, 5, 10])
  for (const weight of [5, 10, 25, 50]) assert.ok((weight / 100) ** (enough(weight) ?? 0) <= 0.001001)
})

test('a step is passed by its number of trials and by evidence, not by one of them', () => {
  const at = (canary: number, errors: number) =>
    judge(live, counters([step({}, { canary, errors, control: 900 })]), START)
  assert.equal(at(49, 0).decision, 'hold')
  assert.equal(at(50, 0).decision, 'advance')
  assert.equal(at(50, 4).decision, 'hold')
  assert.match(at(31, 0).sentence, /^Hold: 31 of 50 trials of step 1 of 2 \(5 %\) are closed, 0 with errors\.$/)
})

test('without enough of stable to compare with it holds, and after an hour a person has to decide', () => {
  const lone = { ...live, baseline: null }
  const [few, enough] = [49, 50].map((canary) => counters([step({}, { canary })])) as [Counters, Counters]
  const late = START + COMPARABLE_WITHIN_MS
  assert.deepEqual(
    [judge(lone, few, late).decision, judge(lone, enough, late - 1).decision, judge(lone, enough, late).decision],
    ['hold', 'hold', 'pause'],
  )
  assert.match(judge(lone, enough, START).sentence, /^Hold: 50 trials .* of stable there are fewer than 200 yet/)
  const verdict = judge(lone, enough, late)
  assert.deepEqual(verdict.decision === 'pause' && verdict.cause, 'incomparable')
})

test('silence pauses, and never advances', () => {
  const quiet = counters([step({}, { canary: 40 })])
  assert.equal(judge(live, quiet, START + QUIET_MS - 1).decision, 'hold')
  const verdict = judge(live, quiet, START + QUIET_MS)
  assert.deepEqual(verdict.decision === 'pause' && verdict.cause, 'inconclusive')
  assert.equal(judge(live, { ...quiet, lastCanaryAt: null }, START + QUIET_MS).decision, 'pause')
})

test('a step that does not come to its evidence in a week pauses', () => {
  const now = START + STEP_TIMEOUT_MS
  const busy = counters([step({}, { canary: 40 })], { lastCanaryAt: now })
  assert.equal(judge(live, busy, now - 1).decision, 'hold')
  assert.equal(judge(live, busy, now).decision, 'pause')
})

test('what has passed its steps bakes for its time, and is judged meanwhile', () => {
  const baking: Judged = { ...live, status: 'baking', step: 1 }
  const sound = counters([noCounts(), noCounts()])
  assert.equal(judge(baking, sound, START + live.bakeMs - 1).decision, 'hold')
  assert.equal(judge(baking, sound, START + live.bakeMs).decision, 'advance')
  assert.match(judge(baking, sound, START).sentence, /is watched for 15 minutes\.$/)
  const brief = judge({ ...baking, bakeMs: 10_000 }, sound, START + 10_000)
  assert.equal(brief.sentence, 'Advance: v2 was watched for 10 seconds, and nothing spoke against it.')
  const late = counters([step({ 'action-failed': [5, 0] }), noCounts()])
  assert.equal(judge(baking, late, START + live.bakeMs).decision, 'roll-back')
})

test('what is paused is judged for rolling back only', () => {
  const paused: Judged = {
    ...live,
    status: 'paused',
    paused: { from: 'canary', cause: 'operator', reason: 'Lunch.', at: START },
  }
  const done = step({}, { canary: 500, control: 9000 })
  assert.equal(judge(paused, counters([done]), START).sentence, 'Hold: v2 is paused: Lunch.')
  assert.equal(judge(paused, counters([step({ 'turn-error': [4, 0] })]), START).decision, 'roll-back')
})

test('evidence beyond what a number holds is a number still', () => {
  const verdict = judge(live, counters([step({ 'turn-error': [5000, 0] })]), START)
  assert.ok(verdict.figures.metrics.every(({ e }) => Number.isFinite(e)))
})
