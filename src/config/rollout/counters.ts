/**
 * What is counted of a rollout, as it is judged. Two metrics have two thresholds each, stable's p50 and p90, and are counted at
 * both.
 */
export const counted = [
  'turn-error',
  'first-token-slow.p50',
  'first-token-slow.p90',
  'action-failed',
  'not-completed',
  'cost-high.p50',
  'cost-high.p90',
  'thumbs-down',
] as const
export type Counted = (typeof counted)[number]

export interface Counters {
  /** By the step at whose weight units were assigned. */
  steps: readonly StepCounts[]
  /** Of the newest 20 canary units, the oldest first: whether one of their turns failed. */
  recent: readonly boolean[]
  /** Deterministic faults of the canary, in a row, each of somebody else, with none of stable between or a minute before. */
  faultsInRow: number
  /** When the canary last brought a budget to its end, with none that stable did within a minute, ms since the epoch. */
  breachAt: number | null
  /** When a turn of the canary was last counted, ms since the epoch; null before the first. */
  lastCanaryAt: number | null
}

export interface StepCounts {
  /** Units that were bad, by their first bad event. */
  bad: Readonly<Record<Counted, { canary: number; control: number }>>
  /** Closed trials of the canary, how many of them had errors, and stable's. */
  trials: { canary: number; errors: number; control: number }
}

export function noCounts(): StepCounts {
  const bad = Object.fromEntries(counted.map((name) => [name, { canary: 0, control: 0 }])) as StepCounts['bad']
  return { bad, trials: { canary: 0, errors: 0, control: 0 } }
}
