import type { Metric } from '../evidence/metrics.ts'
import type { RolloutFigures } from '../rollouts.ts'
import type { LiveRollout, PauseCause } from './state.ts'

/** What follows from the figures at present. */
export type Judgement =
  | { decision: 'roll-back'; why: RollbackReason }
  | { decision: 'pause'; cause: PauseCause; why: 'quiet' | 'slow' | 'incomparable' | 'budget' }
  | { decision: 'advance'; why: 'step' | 'baked' }
  | { decision: 'hold'; why: 'paused' | 'baking' | 'trials' | 'evidence' | 'incomparable-yet' }

export type RollbackReason =
  | { kind: 'evidence' | 'hard-guard'; metric: Metric }
  | { kind: 'deterministic-faults'; inRow: number }
  | { kind: 'budget' }

export type Verdict = Judgement & { sentence: string; figures: RolloutFigures }

/** What of a live rollout it is judged by. */
export type Judged = Pick<
  LiveRollout,
  'candidate' | 'status' | 'paused' | 'step' | 'steps' | 'bakeMs' | 'waived' | 'baseline' | 'since'
>
