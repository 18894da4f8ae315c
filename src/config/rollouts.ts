import type { Principal } from '#identity/principal.ts'
import { type Metric, metrics } from './evidence/metrics.ts'
import type { Baseline, FinishedRollout, LiveRollout, Transition, VersionRef } from './rollout/state.ts'

/** What a version is judged by. */
export const judgedBy = metrics

/** The public face of rollouts; who does what over HTTP ends here. Roles are checked here: Config.Operator or Admin. */
export interface Rollouts {
  /** As this replica knows it. */
  view(): RolloutView
  /** The view now, and at each change of state or verdict. */
  follow(signal: AbortSignal): AsyncIterable<RolloutView>
  /** Newest first. */
  history(limit: number): Promise<Transition[]>
  /**
   * Begins the journey of a version. Rejects with config_not_found, config_invalid, forbidden, rollout_state (one is live already,
   * or it is stable), second_operator_needed, version_conflict (`ifMatch` is not the present etag).
   */
  start(by: Principal, request: { version: string; waive?: readonly Metric[]; ifMatch: string }): Promise<RolloutView>
  /** To the next step, or from baking to stable, on a person's word. */
  promote(by: Principal, request: Decision): Promise<RolloutView>
  pause(by: Principal, request: Decision): Promise<RolloutView>
  resume(by: Principal, request: Decision): Promise<RolloutView>
  /** Also of what is stable already: back to the one before it. */
  rollback(by: Principal, request: Decision): Promise<RolloutView>
  /**
   * Puts what is known in the place of what the store has, where that cannot be read or does not follow from it; or takes what the
   * store has, named by its epoch. Rejects with rollout_state where there is nothing to restore, or to take.
   */
  restore(by: Principal, request: Decision & { take?: number | undefined }): Promise<RolloutView>
}

/** Hears what becomes of rollouts, for those who keep account of it, and for those whom somebody should tell. */
export interface RolloutListener {
  /** A step that this replica wrote. */
  onStep(step: Transition): void
  /** A step that holds from now on, whoever took it, also one that is ordered and not written yet; the last one again after a start. */
  onMoved(step: Transition): void
  /** What the store has is not followed: at each round, for as long as it is so. */
  onStray(what: 'unreadable' | 'diverged'): void
}

export interface Decision {
  reason: string
  /** `RolloutView.etag`. */
  ifMatch: string
}

export interface RolloutView {
  /** Of the state; what `If-Match` names. */
  etag: string
  epoch: number
  stable: VersionRef
  live: Omit<LiveRollout, 'salt'> | null
  /** What the figures say at present, in one sentence: "hold: 31 of 50 conversations …". */
  verdict: { decision: 'advance' | 'hold' | 'pause' | 'roll-back'; sentence: string }
  figures: RolloutFigures | null
  /** Sound versions newer than stable that wait, with the reason. */
  waiting: readonly { version: string; reason: string }[]
  finished: readonly FinishedRollout[]
  /** Which replica leads, as far as known; whether the state can be reached at present. */
  leader: boolean
  reachable: boolean
  /** What the store has is no state: what was known last is served until an operator restores it. */
  unreadable: boolean
  /**
   * What the store has where it does not follow from what is known: an older state, put back by hand, or another of the same epoch.
   * What is known is served until an operator restores it, or takes this one.
   */
  diverged: { epoch: number; at: number; stable: VersionRef; candidate: VersionRef | null } | null
}

export interface RolloutFigures {
  /** Closed trials of the present step, and what it needs. */
  trials: { canary: number; control: number; needed: number; errors: number }
  /** Against the rate that must not be reached; it advances at 20. */
  advance: { e: number; needed: number; rate: number }
  metrics: readonly {
    metric: Metric
    canary: number
    control: number
    /** Rolled back at `threshold`. */
    e: number
    threshold: number
    waived: boolean
  }[]
  baseline: Baseline | null
}
