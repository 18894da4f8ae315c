import { ADVANCE_AT, advanceRate, hardGuard, logAdvance, logE, logEOfBoth, rollbackAt } from '../evidence/evidence.ts'
import { type CohortCounts, type Metric, metrics } from '../evidence/metrics.ts'
import type { RolloutFigures } from '../rollouts.ts'
import { type Counted, type Counters, noCounts } from './counters.ts'
import { sentenceOf } from './sentence.ts'
import type { Judged, Judgement, RollbackReason, Verdict } from './verdict.ts'

/** No turn of the canary for so long: nobody can tell. Longer than a night, shorter than a weekend. */
export const QUIET_MS = 24 * 3_600_000
/** A step that has not come to its evidence in this time never will. */
export const STEP_TIMEOUT_MS = 7 * 24 * 3_600_000
/** Stable trials without which there is nothing to compare with. */
export const LEAST_STABLE_TRIALS = 200
/** A step that has its trials waits so long, from its beginning on, for those of stable: where there is traffic they come within minutes. */
export const COMPARABLE_WITHIN_MS = 3_600_000
const FAULTS_IN_ROW = 3
/** In an outage of both arms a row comes to the canary with probability weight^length: not above this. */
const FAULTS_BY_CHANCE = 0.001

/**
 * Judges a live rollout: pure, so that it can be simulated. It may be asked as often as one likes: all that it decides by is
 * valid at any time one looks. Rolling back comes first and is possible in every status; advancing needs evidence, and silence
 * is none.
 */
export function judge(live: Judged, counters: Counters, now: number): Verdict {
  const figures = figuresOf(live, counters)
  const judgement = decide(live, counters, figures, now)
  return { ...judgement, sentence: sentenceOf(judgement, live, figures), figures }
}

function decide(live: Judged, counters: Counters, figures: RolloutFigures, now: number): Judgement {
  const why = rollbackReason(live, counters, figures)
  if (why) return { decision: 'roll-back', why }
  if (live.status === 'paused') return { decision: 'hold', why: 'paused' }
  if (live.status === 'baking') {
    return now - live.since >= live.bakeMs ? { decision: 'advance', why: 'baked' } : { decision: 'hold', why: 'baking' }
  }
  const { trials, advance } = figures
  if (trials.canary >= trials.needed) {
    // Who would advance without a baseline would advance on nothing but silence.
    if (!live.baseline) {
      const isLate = now - live.since >= COMPARABLE_WITHIN_MS
      return isLate
        ? { decision: 'pause', cause: 'incomparable', why: 'incomparable' }
        : { decision: 'hold', why: 'incomparable-yet' }
    }
    if (advance.e >= advance.needed) return { decision: 'advance', why: 'step' }
  }
  if (now - Math.max(live.since, counters.lastCanaryAt ?? 0) >= QUIET_MS) {
    return { decision: 'pause', cause: 'inconclusive', why: 'quiet' }
  }
  if (now - live.since >= STEP_TIMEOUT_MS) return { decision: 'pause', cause: 'inconclusive', why: 'slow' }
  return { decision: 'hold', why: trials.canary < trials.needed ? 'trials' : 'evidence' }
}

/** Of the present step, whose weight is the highest that any unit was drawn at. */
function faultsNeeded({ step, steps }: Judged): number {
  const weight = (steps[step]?.weight ?? 50) / 100
  return Math.max(FAULTS_IN_ROW, Math.ceil(Math.log(FAULTS_BY_CHANCE) / Math.log(weight)))
}

function rollbackReason(
  live: Judged,
  counters: Counters,
  { metrics: judged }: RolloutFigures,
): RollbackReason | undefined {
  const { inRow, stableToo } = counters.faults
  if (inRow >= faultsNeeded(live) && !stableToo) return { kind: 'deterministic-faults', inRow }
  for (const { metric, e, threshold, waived, canary } of judged) {
    if (waived) continue
    if (e >= threshold) return { kind: 'evidence', metric }
    if (metric === 'turn-error' && hardGuard({ bad: canary, last: counters.recent, logE: Math.log(e) })) {
      return { kind: 'hard-guard', metric }
    }
  }
  return undefined
}

function figuresOf(live: Judged, counters: Counters): RolloutFigures {
  const { step, steps, baseline } = live
  const { trials } = counters.steps[step] ?? noCounts()
  const rate = advanceRate(baseline?.errorRate ?? 0, step)
  const logAdvanced = baseline ? logAdvance({ trials: trials.canary, errors: trials.errors }, rate) : 0
  return {
    trials: { ...trials, needed: steps[step]?.conversations ?? 0 },
    advance: { e: exp(logAdvanced), needed: ADVANCE_AT, rate },
    metrics: metrics.map((metric) => ({
      metric,
      ...totalOf(counters, shownOf(metric)),
      e: exp(logEOf(metric, live, counters)),
      threshold: Math.exp(rollbackAt(metric)),
      waived: live.waived.includes(metric),
    })),
    baseline,
  }
}

function logEOf(metric: Metric, live: Judged, counters: Counters): number {
  const cohorts = (name: Counted) => cohortsOf(live, counters, name)
  if (metric === 'first-token-slow' || metric === 'cost-high') {
    return logEOfBoth(cohorts(`${metric}.p50`), cohorts(`${metric}.p90`))
  }
  return logE(cohorts(metric))
}

function cohortsOf({ steps }: Judged, counters: Counters, name: Counted): CohortCounts[] {
  return counters.steps.flatMap(({ bad }, step) => {
    const weight = steps[step]?.weight
    return weight === undefined ? [] : [{ weight: weight / 100, ...bad[name] }]
  })
}

/** Of two thresholds the lower one is shown: whoever passes the higher has passed it. */
function shownOf(metric: Metric): Counted {
  return metric === 'first-token-slow' || metric === 'cost-high' ? `${metric}.p50` : metric
}

function totalOf({ steps }: Counters, name: Counted): { canary: number; control: number } {
  return steps.reduce(
    (sum, { bad }) => ({ canary: sum.canary + bad[name].canary, control: sum.control + bad[name].control }),
    { canary: 0, control: 0 },
  )
}

/** What a number can still hold: evidence beyond it is shown as this. */
function exp(log: number): number {
  return Math.exp(Math.min(log, 700))
}
