import { ParleyError } from '#errors.ts'
import type { FinishedShadow, LiveShadow } from '../shadow.ts'

/** What is tried, as all replicas share it in the live state's store. Lost with it, nothing is tried any more. */
export interface ShadowState {
  /** Raised by each change. */
  epoch: number
  live: LiveShadow | null
  finished: readonly FinishedShadow[]
}

export type Ending = Pick<FinishedShadow, 'ended' | 'reason' | 'endedAt'>

const KEPT = 20

export function noShadow(): ShadowState {
  return { epoch: 1, live: null, finished: [] }
}

/** Throws version_conflict, rollout_state. */
export function begin(state: ShadowState, ifMatch: string, live: LiveShadow): ShadowState {
  checkSeen(state, ifMatch)
  if (state.live) throw new ParleyError('rollout_state', { message: `${state.live.version} is in the shadow already.` })
  return { ...state, epoch: state.epoch + 1, live }
}

/** By a person. Throws version_conflict, rollout_state. */
export function stop(state: ShadowState, ifMatch: string, ending: Ending): ShadowState {
  checkSeen(state, ifMatch)
  if (!state.live) throw new ParleyError('rollout_state', { message: 'No version is in the shadow.' })
  return end(state, state.live.id, ending)
}

/** Of one that has ended already nothing changes. */
export function end(state: ShadowState, id: string, ending: Ending): ShadowState {
  const { live, finished } = state
  if (live?.id !== id) return state
  return { epoch: state.epoch + 1, live: null, finished: [{ ...live, ...ending }, ...finished].slice(0, KEPT) }
}

/** What was seen has to be what is there. */
function checkSeen({ epoch }: ShadowState, ifMatch: string): void {
  if (ifMatch !== String(epoch)) throw new ParleyError('version_conflict')
}
