import type { Metric } from '../evidence/metrics.ts'

/**
 * The journey of a candidate version to stable, or back:
 *
 *   (start) → canary(step 0) → … → canary(last step) → baking → stable
 *                  ⇅                    ⇅                 ⇅
 *                paused               paused            paused
 *   from each of these → rolled-back
 *
 * `stable` and `rolled-back` are terminal for a rollout id, but for a person who rolls back what is stable already. While one is
 * paused nobody new gets the candidate; whoever has it keeps it, and goes on being judged. This is the one small blob that all
 * replicas share, written with `If-Match`; `epoch` rises with each write. Its times are those of the live state's store, so that
 * clocks of replicas do not matter.
 */
export interface RolloutState {
  epoch: number
  stable: VersionRef
  live: LiveRollout | null
  /** The newest first, at most 50; the one that led to stable is among them. */
  finished: readonly FinishedRollout[]
  /** The one that led here. Its line in the history is written after the state; what a crash left out, the next writer adds. */
  last: Transition
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
  paused: { from: 'canary' | 'baking'; cause: PauseCause; reason: string; at: number } | null
  step: number
  steps: readonly Step[]
  bakeMs: number
  /** Waived by name, with the start: not judged, and their share not reused. */
  waived: readonly Metric[]
  /** What stable was like when it began, or as soon as there was enough of it; null until then, and no step is passed without. */
  baseline: Baseline | null
  startedAt: number
  startedBy: string
  /** When the present status (of the present step) began. */
  since: number
}

/** After lost counters nothing that was counted means anything: it resumes as a new rollout. */
export type PauseCause = 'operator' | 'inconclusive' | 'incomparable' | 'counters-lost'

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
  /** When the outcome came about. */
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
  /** The operator's id; null for the system. */
  operator: string | null
  reason: string
  /** What it was decided on: counts and E per metric, as `RolloutView` shows them; null where nothing was counted. */
  evidence: unknown
}
