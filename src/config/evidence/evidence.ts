import { ALPHA, type CohortCounts, type Metric, shares } from './metrics.ts'

/**
 * How many times as likely bad units are in the canary, of those that are looked for. A threshold at stable's p50 is passed by
 * half of all units, and at its p90 by a tenth: no rate can be more than twice, or ten times, as high.
 */
export const grids = {
  main: [1.25, 1.5, 2, 3, 5, 10, 30, 100],
  p50: [1.1, 1.2, 1.3, 1.5, 1.8],
  p90: [1.25, 1.5, 2, 3, 5, 8],
} as const

/** Evidence at which a step has shown that its error rate is below the rate that must not be reached. */
export const ADVANCE_AT = 20
/** Of the rate that must not be reached: error rates that the advance is mixed over. */
const ADVANCE_MIXTURE = [0.05, 0.2, 0.4, 0.6, 0.8]
/** Percentage points above stable's frozen error rate, by step; the last for all that follow. */
const ADVANCE_MARGINS = [0.1, 0.05, 0.03]
const GUARD = { bad: 6, among: 20, half: 10, e: 333 }

/**
 * ln E that bad units come to the canary more often than its weight says. Given a bad unit, under no difference it came from the
 * canary with probability w, its cohort's weight; so E has an expectation of at most 1 at any time one looks, and passes 1/a with
 * probability at most a (Ville). After Lindon & Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022.
 */
export function logE(cohorts: readonly CohortCounts[], grid: readonly number[] = grids.main): number {
  const terms = grid.map((theta) =>
    cohorts.reduce(
      (sum, { weight, canary, control }) =>
        sum + canary * Math.log(theta) - (canary + control) * Math.log(theta * weight + 1 - weight),
      0,
    ),
  )
  return logMean(terms)
}

/** The average of two E, each at a threshold of its own, is an E again. */
export function logEOfBoth(p50: readonly CohortCounts[], p90: readonly CohortCounts[]): number {
  return logMean([logE(p50, grids.p50), logE(p90, grids.p90)])
}

/** ln E at which a metric rolls back. */
export function rollbackAt(metric: Metric): number {
  return -Math.log(ALPHA * shares[metric])
}

/** The error rate that a step must not reach: stable's, and a margin. At most 0.99. */
export function advanceRate(stableRate: number, step: number): number {
  const margin = ADVANCE_MARGINS[Math.min(step, ADVANCE_MARGINS.length - 1)] ?? 0
  return Math.min(stableRate + margin, 0.99)
}

/** ln E against "the canary's error rate is at least `rate`": grows with sound trials, shrinks with each bad one. */
export function logAdvance({ trials, errors }: { trials: number; errors: number }, rate: number): number {
  return logMean(
    ADVANCE_MIXTURE.map((share) => {
      const p = rate * share
      return errors * Math.log(p / rate) + (trials - errors) * Math.log((1 - p) / (1 - rate))
    }),
  )
}

/** Turn errors so many that nobody waits for the test: `last` tells of the newest canary units, at most 20, whether they were bad. */
export function hardGuard({ bad, last, logE }: { bad: number; last: readonly boolean[]; logE: number }): boolean {
  const recent = last.slice(-GUARD.among)
  return bad >= GUARD.bad && recent.filter(Boolean).length >= GUARD.half && logE >= Math.log(GUARD.e)
}

/** ln of the mean of what these are the logarithms of. */
function logMean(terms: readonly number[]): number {
  const highest = Math.max(...terms)
  return highest + Math.log(terms.reduce((sum, term) => sum + Math.exp(term - highest), 0) / terms.length)
}
