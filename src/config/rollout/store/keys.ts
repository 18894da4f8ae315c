import { hash } from 'node:crypto'
import { type Key, key } from '#platform/kv/kv.ts'

const MONTH_MS = 31 * 86_400_000

/** Counters outlive their rollout, for outcomes that come late and for people who ask why. */
export const KEPT_MS = MONTH_MS

export interface CounterKeys {
  /** Record: all counts, small whatever the traffic. */
  counts: Key
  /** Index: canary trials that are not closed, by the time when they are to be. */
  open: Key
  /** Value: an order to roll back. */
  order: Key
}

/** All keys of a rollout share a partition of its own. */
export function counterKeys(rollout: string): CounterKeys {
  return { counts: key(rollout, 'counts'), open: key(rollout, 'open'), order: key(rollout, 'order') }
}

/** Record of a unit that was bad, or is of the canary: what it was counted for. */
export function unitKey(rollout: string, unit: string): Key {
  return key(rollout, `unit:${short(unit)}`)
}

/** Record of whoever a trial is of: in which steps there was one. */
export function trialKey(rollout: string, whose: string): Key {
  return key(rollout, `trial:${short(whose)}`)
}

/** Record: what a version was like in one hour, by hours since the epoch. */
export function hourKey(versionHash: string, hour: number): Key {
  return key(`baseline-${versionHash.slice(0, 32)}`, String(hour))
}

/** Record: the newest state that any replica has seen, for those that start while the blob store is away. */
export const lastStateKey = key('rollout', 'state')
/** Where replicas tell one another that there is news. */
export const newsKey = key('rollout', 'news')

/** Ids of conversations are short and printable; of those of callers nobody knows. */
function short(id: string): string {
  return /^[\w-]{1,64}$/.test(id) ? id : hash('sha256', id, 'base64url')
}
