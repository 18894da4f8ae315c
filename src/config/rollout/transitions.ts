import { ParleyError } from '#errors.ts'
import type {
  Baseline,
  FinishedRollout,
  LiveRollout,
  PauseCause,
  RolloutState,
  Transition,
  VersionRef,
} from './state.ts'

/** Who or what moves the state, why, on what, and when. */
export type Occasion = Pick<Transition, 'by' | 'operator' | 'reason' | 'evidence' | 'at'>

/** What a rollout begins with. */
export type Beginning = Pick<
  LiveRollout,
  'id' | 'salt' | 'candidate' | 'steps' | 'bakeMs' | 'waived' | 'baseline' | 'startedBy'
>

const FINISHED_KEPT = 50

/**
 * The transitions of the machine that `state.ts` draws. Each takes a state and gives the next one, with its line for the history;
 * each throws rollout_state where the state does not permit it.
 */

/** Where there was no state: what is found serves everyone. */
export function first(stable: VersionRef, epoch: number, occasion: Occasion): RolloutState {
  const line = { epoch, rollout: null, candidate: stable.version, from: 'none', to: 'stable' }
  return { epoch, stable, live: null, finished: [], last: { ...line, ...occasion } }
}

/** Without steps there is nothing to wait for. */
export function start(state: RolloutState, beginning: Beginning, occasion: Occasion): RolloutState {
  if (state.live) refuse(`${state.live.candidate.version} is on its way already.`)
  const { candidate, steps } = beginning
  if (candidate.hash === state.stable.hash) refuse(`${candidate.version} is stable already.`)
  const since = { startedAt: occasion.at, since: occasion.at }
  const live: LiveRollout = { ...beginning, ...since, status: 'canary', paused: null, step: 0 }
  if (steps.length === 0) return settled(state, live, 'none', 'stable', occasion)
  return moved(state, { live }, 'none', placeOf(live), live, occasion)
}

/** To the next step, from the last one to baking, from baking to stable; what is paused goes on from where it was. */
export function advance(state: RolloutState, occasion: Occasion): RolloutState {
  const live = liveOf(state)
  const from = live.paused?.from ?? live.status
  if (from === 'baking') return settled(state, live, placeOf(live), 'stable', occasion)
  // A further step would be judged by counters that are not there, and pause at once.
  if (live.paused?.cause === 'counters-lost')
    return refuse('Its counters are lost: it has to be resumed, which begins it anew.')
  const isLast = live.step + 1 >= live.steps.length
  const next: LiveRollout = {
    ...live,
    status: isLast ? 'baking' : 'canary',
    step: isLast ? live.step : live.step + 1,
    paused: null,
    since: occasion.at,
  }
  return moved(state, { live: next }, placeOf(live), placeOf(next), live, occasion)
}

/** What is paused is paused anew only when its counters are lost: that changes how it resumes. */
export function pause(state: RolloutState, cause: PauseCause, occasion: Occasion): RolloutState {
  const live = liveOf(state)
  const isWorse = cause === 'counters-lost' && live.paused?.cause !== cause
  if (live.status === 'paused' && !isWorse) refuse('It is paused already.')
  const { reason, at } = occasion
  const from = live.paused?.from ?? (live.status === 'baking' ? 'baking' : 'canary')
  const next: LiveRollout = { ...live, status: 'paused', paused: { from, cause, reason, at } }
  return moved(state, { live: next }, placeOf(live), placeOf(next), live, occasion)
}

/**
 * Back to where it was, and its time begins anew. After lost counters it begins as a new rollout, with an id and a salt that
 * were never used: old units must not be counted among its own.
 */
export function resume(
  state: RolloutState,
  anew: Pick<LiveRollout, 'id' | 'salt' | 'baseline'> | undefined,
  occasion: Occasion,
): RolloutState {
  const live = liveOf(state)
  if (!live.paused) return refuse('It is not paused.')
  const since = occasion.at
  const isLost = live.paused.cause === 'counters-lost'
  if (isLost && !anew) return refuse('Its counters are lost: it has to begin anew.')
  const next: LiveRollout = isLost
    ? { ...live, ...anew, status: 'canary', paused: null, step: 0, startedAt: since, since }
    : { ...live, status: live.paused.from, paused: null, since }
  return moved(state, { live: next }, placeOf(live), placeOf(next), next, occasion)
}

/** Stable's figures, once there are enough: they stay as they are from here on. */
export function compare(state: RolloutState, baseline: Baseline, occasion: Occasion): RolloutState {
  const live = liveOf(state)
  if (live.baseline) refuse('It is compared with stable already.')
  return moved(state, { live: { ...live, baseline } }, placeOf(live), placeOf(live), live, occasion)
}

/** What the store had is put right by what was known: all stays as it was. */
export function restore(state: RolloutState, epoch: number, occasion: Occasion): RolloutState {
  const { live, stable } = state
  const place = live ? placeOf(live) : 'stable'
  const what = { rollout: live?.id ?? null, candidate: live?.candidate.version ?? stable.version }
  return { ...state, epoch, last: { epoch, ...what, from: place, to: place, ...occasion } }
}

/** Of what is live; where nothing is, of what is stable, back to the one before it. */
export function rollBack(state: RolloutState, occasion: Occasion): RolloutState {
  const { live, finished, stable } = state
  const ended = { outcome: 'rolled-back', reason: occasion.reason, endedAt: occasion.at } as const
  if (live) {
    const { id, candidate, startedAt } = live
    const done: FinishedRollout = { id, candidate, stable, startedAt, ...ended }
    return moved(
      state,
      { live: null, finished: kept([done, ...finished], stable) },
      placeOf(live),
      'rolled-back',
      live,
      occasion,
    )
  }
  const made = madeStable(finished, stable)
  if (!made) return refuse('There is no version before this one to go back to.')
  const change = {
    stable: made.stable,
    finished: finished.map((one) => (one === made ? { ...made, ...ended } : one)),
  }
  return moved(state, change, 'stable', 'rolled-back', made, occasion)
}

function settled(state: RolloutState, live: LiveRollout, from: string, to: string, occasion: Occasion): RolloutState {
  const { id, candidate, startedAt } = live
  const { reason, at: endedAt } = occasion
  const done: FinishedRollout = { id, candidate, stable: state.stable, outcome: 'stable', reason, startedAt, endedAt }
  const change = { stable: candidate, live: null, finished: kept([done, ...state.finished], candidate) }
  return moved(state, change, from, to, live, occasion)
}

/** The rollout by which the stable version became stable; undefined for the first that was served. */
export function madeStable(finished: readonly FinishedRollout[], stable: VersionRef): FinishedRollout | undefined {
  return finished.find(({ outcome, candidate }) => outcome === 'stable' && candidate.hash === stable.hash)
}

/** The newest, and the way back from what is stable. */
export function kept(finished: readonly FinishedRollout[], stable: VersionRef): FinishedRollout[] {
  const made = madeStable(finished.slice(FINISHED_KEPT - 1), stable)
  const newest = finished.slice(0, made ? FINISHED_KEPT - 1 : FINISHED_KEPT)
  return made && !madeStable(newest, stable) ? [...newest, made] : finished.slice(0, FINISHED_KEPT)
}

function moved(
  state: RolloutState,
  change: Partial<RolloutState>,
  from: string,
  to: string,
  { id, candidate }: Pick<LiveRollout, 'id' | 'candidate'>,
  occasion: Occasion,
): RolloutState {
  const epoch = state.epoch + 1
  const last = { epoch, rollout: id, candidate: candidate.version, from, to, ...occasion }
  return { ...state, ...change, epoch, last }
}

/** Where a rollout stands, in the words of the history. */
export function placeOf({ status, step, steps }: LiveRollout): string {
  return status === 'canary' ? `canary ${step + 1}/${steps.length} (${steps[step]?.weight} %)` : status
}

function liveOf({ live }: RolloutState): LiveRollout {
  return live ?? refuse('No rollout is live.')
}

function refuse(message: string): never {
  throw new ParleyError('rollout_state', { message })
}
