import type { Metric } from '../evidence/metrics.ts'

/**
 * The journey of a candidate version to stable, or back:
 *
 *   (start) → canary(step 0) → … → canary(last step) → baking → stable
 *                  ⇅                    ⇅                 ⇅
 *                paused               paused            paused
 *   from each of these → rolled-back
 *
 * `stable` and `rolled-back` are terminal for a rollout id. This is the one small blob that all replicas share, written with
 * `If-Match`; `epoch` rises with each write.
 */
export interface RolloutState {
  epoch: number
  stable: VersionRef
  live: LiveRollout | null
  /** The newest first, at most 50. */
  finished: readonly FinishedRollout[]
}

export interface VersionRef {
  version: string
  hash: string
}

export interface LiveRollout {
  id: string
  candidate: VersionRef
  /** Of the hash that draws arms; a new one for each rollout. */
  salt: string
  status: 'canary' | 'paused' | 'baking'
  /** Where `resume` goes back to, and why it pauses; null unless paused. */
  paused: { from: 'canary' | 'baking'; reason: string; at: number } | null
  step: number
  steps: readonly Step[]
  bakeMs: number
  /** Waived by name, with the start: not judged, and their share not reused. */
  waived: readonly Metric[]
  /** What stable was like when it began; null: too little to compare with, which pauses it. */
  baseline: Baseline | null
  startedAt: number
  startedBy: string
  /** When the present status (of the present step) began. */
  since: number
}

export interface Step {
  /** Percent of new conversations, above 0 and below 100. */
  weight: number
  /** Canary trials before the next step may come. */
  conversations: number
}

/** Frozen figures of the stable version. */
export interface Baseline {
  trials: number
  errorRate: number
  firstTokenMs: { p50: number; p90: number }
  costUsd: { p50: number; p90: number }
}

export interface FinishedRollout {
  id: string
  candidate: VersionRef
  /** What it would have replaced, or did. */
  stable: VersionRef
  outcome: 'stable' | 'rolled-back'
  reason: string
  startedAt: number
  endedAt: number
}

/** One line of the append-only history. */
export interface Transition {
  epoch: number
  at: number
  rollout: string | null
  candidate: string | null
  from: string
  to: string
  /** `system`, or the name of the operator. */
  by: string
  reason: string
  /** What it was decided on: counts and E per metric, as `RolloutView` shows them; null where a person decided. */
  evidence: unknown
}
