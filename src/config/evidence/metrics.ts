/** What a unit (a conversation) is judged by: bad, yes or no, by its first bad event. */
export const metrics = [
  'turn-error',
  'first-token-slow',
  'action-failed',
  'not-completed',
  'cost-high',
  'thumbs-down',
] as const
export type Metric = (typeof metrics)[number]

/** False rollbacks of sound versions, all metrics together, however often one looks. */
export const ALPHA = 0.01

/** How a metric shares in `ALPHA`. */
export const shares: Readonly<Record<Metric, number>> = {
  'turn-error': 0.3,
  'first-token-slow': 0.2,
  'action-failed': 0.2,
  'not-completed': 0.15,
  'cost-high': 0.1,
  'thumbs-down': 0.05,
}

/** Bad units of one cohort: those that were assigned to the canary at weight `weight` (0 to 1), and those that were not. */
export interface CohortCounts {
  weight: number
  canary: number
  control: number
}
