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
  // By whose spending it was nobody can tell without a baseline; whoever resumes it has decided.
  if (!live.baseline && (counters.breachAt ?? 0) > live.since) {
    return { decision: 'pause', cause: 'incomparable', why: 'budget' }
  }
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

/** Of the present step, the highest that any unit was drawn at. */
function weightOf({ step, steps }: Judged): number {
  return (steps[step]?.weight ?? 50) / 100
}

function faultsNeeded(live: Judged): number {
  return Math.max(FAULTS_IN_ROW, Math.ceil(Math.log(FAULTS_BY_CHANCE) / Math.log(weightOf(live))))
}

/**
 * Whether it was the candidate that brought a budget to its end. That one does is no fault of itself: of two arms that cost alike,
 * the last call before the end is the canary's with probability weight. So the evidence that it costs more has to make up for
 * that: together they weigh as much as high costs alone would have to, which takes five conversations at 5 % instead of eight. A
 * waiver of high costs says that it may cost more, not that it may leave others nothing.
 */
function hasBrokenBudget(live: Judged, { breachAt }: Counters, { metrics: judged }: RolloutFigures): boolean {
  const cost = judged.find(({ metric }) => metric === 'cost-high')
  return breachAt !== null && cost !== undefined && cost.e / weightOf(live) >= cost.threshold
}

function rollbackReason(live: Judged, counters: Counters, figures: RolloutFigures): RollbackReason | undefined {
  const { faultsInRow: inRow } = counters
  if (inRow >= faultsNeeded(live)) return { kind: 'deterministic-faults', inRow }
  if (hasBrokenBudget(live, counters, figures)) return { kind: 'budget' }
  for (const { metric, e, threshold, waived, canary } of figures.metrics) {
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
