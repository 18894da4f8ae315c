import type { RolloutState } from './state.ts'
import { madeStable, type Occasion, rollBack } from './transitions.ts'

/**
 * A rollback as it is kept in the live state's store, where every replica finds it within a moment, also while the state blob is
 * out of reach. It is given before the state is written, and outlives whatever else is written meanwhile.
 */
export interface RollbackOrder extends Occasion {
  rollout: string
}

/**
 * The state as it is to be served: an order counts from the moment it is given, whether the blob says so yet or not. It also
 * counts where a leader that had not heard of it made the candidate stable at the same moment.
 */
export function underOrder(state: RolloutState, order: RollbackOrder | undefined): RolloutState {
  if (order === undefined || orderable(state) !== order.rollout) return state
  const { rollout: _, ...occasion } = order
  return rollBack(state, occasion)
}

/** The id of the rollout that a rollback would end now, or undo. */
export function orderable({ live, finished, stable }: RolloutState): string | undefined {
  if (live) return live.id
  return madeStable(finished, stable)?.id
}
