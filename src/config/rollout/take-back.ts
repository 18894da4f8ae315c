import type { FinishedRollout, LiveRollout, RolloutState } from './state.ts'
import { kept, type Occasion, placeOf } from './transitions.ts'

/**
 * An operator takes what the store has, an older state as a rule, in the place of what is known. What has come since then is rolled
 * back by that: so none of it begins once more by itself, and its runs are approved anew. What is on its way in it is paused and
 * resumes from its first step: its counters do not say who was served meanwhile.
 */
export function takeBack(known: RolloutState, taken: RolloutState, epoch: number, occasion: Occasion): RolloutState {
  const { stable, live } = taken
  const since = cameSince(known, taken, occasion)
  const what = { rollout: live?.id ?? null, candidate: (live?.candidate ?? stable).version }
  const from = known.live ? placeOf(known.live) : 'stable'
  const to = live ? 'paused' : 'stable'
  return {
    ...taken,
    epoch,
    live: live && pausedBy(live, occasion),
    finished: kept([...since, ...taken.finished], stable),
    last: { epoch, ...what, from, to, ...occasion },
  }
}

function cameSince(known: RolloutState, { live, finished }: RolloutState, occasion: Occasion): FinishedRollout[] {
  const { reason, at: endedAt } = occasion
  const ended = { outcome: 'rolled-back', reason, endedAt } as const
  const { live: cut, stable } = known
  const own = cut ? [{ id: cut.id, candidate: cut.candidate, stable, startedAt: cut.startedAt, ...ended }] : []
  const others = known.finished.map((one) => (one.outcome === 'rolled-back' ? one : { ...one, ...ended }))
  const there = new Set([...(live ? [live.id] : []), ...finished.map((one) => one.id)])
  return [...own, ...others].filter((one) => !there.has(one.id))
}

function pausedBy(live: LiveRollout, { reason, at }: Occasion): LiveRollout {
  const from = live.paused?.from ?? (live.status === 'baking' ? 'baking' : 'canary')
  return { ...live, status: 'paused', paused: { from, cause: 'counters-lost', reason, at } }
}
