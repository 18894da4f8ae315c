import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { ConfigVersion } from '../document.ts'
import type { Assignment, Pin, Serving } from '../serving.ts'
import { cohortOf, drawArm, readCohort } from './arms.ts'
import type { KnownVersions } from './known-versions.ts'
import type { NeedsSecond } from './second-operator.ts'
import type { LiveRollout, RolloutState, VersionRef } from './state.ts'

/** Versions that were picked lately: their models are kept in view. */
const PICKED = 8
/** How far the clocks of replicas may be from the store's: what happened at about the same time happened before. */
const SKEW_MS = 10_000

export interface ServingNow extends Serving {
  /** What is served from now on. */
  apply(state: RolloutState): void
  /** While its counters are lost, nobody new gets the candidate. */
  hold(isHeld: boolean): void
}

/**
 * What is served, from memory: a state that names what this replica does not have changes nothing until it has it. Throws
 * config_unavailable where neither stable nor anything that may stand in for it is at hand.
 */
export function createServing(
  versions: KnownVersions,
  log: Log,
  initial: RolloutState,
  needsSecond: NeedsSecond,
): ServingNow {
  const listeners = new Set<() => void>()
  const picked = new LRUCache<string, ConfigVersion>({ max: PICKED })
  let state = initial
  let stable = versionOf(initial.stable) ?? lastGood(initial)
  let candidate: ConfigVersion | undefined
  /** Both arms can be served: else only one of them would be counted. */
  let isWhole = false
  let drawing: { live: LiveRollout; weight: number; cohort: string; candidate: ConfigVersion } | undefined
  let isHeld = false

  function versionOf({ version, hash }: VersionRef): ConfigVersion | undefined {
    const known = versions.get(version)
    return known?.hash === hash ? known : undefined
  }

  /** Of what was stable before; where nothing of that is left, the newest of those that nothing is known against. */
  function lastGood({ stable: missing, live, finished }: RolloutState): ConfigVersion {
    const before = finished.filter(({ outcome }) => outcome === 'stable').flatMap((one) => [one.candidate, one.stable])
    const doubtful = new Set([
      ...finished.filter(({ outcome }) => outcome === 'rolled-back').map(({ candidate: one }) => one.hash),
      ...(live ? [live.candidate.hash] : []),
    ])
    const others = versions.list().filter(({ status, hash }) => status === 'sound' && !doubtful.has(hash))
    const refs = [...before, ...others.map(({ name, hash }) => ({ version: name, hash }))]
    for (const ref of refs) {
      const found = versionOf(ref)
      if (!found) continue
      log.error(
        { missing: missing.version, version: found.name },
        'The stable version is not at hand; another is served',
      )
      return found
    }
    const message = `The stable version ${missing.version} is not at hand, and none that may stand in for it.`
    throw new ParleyError('config_unavailable', { message })
  }

  /** What is served already has passed this, or the rollout that it is on has. */
  function checkPick(config: ConfigVersion, by: string): void {
    const entry = versions.list().find(({ name }) => name === config.name)
    if (!entry || config === stable || config === candidate || !needsSecond(stable, config, entry, by)) return
    const message = `${config.name} guards less than ${stable.name} does: a second operator has to agree before it serves.`
    throw new ParleyError('forbidden', { message })
  }

  function settle(): void {
    const { live } = state
    const own = versionOf(state.stable)
    stable = own ?? stable
    candidate = live ? versionOf(live.candidate) : undefined
    isWhole = own !== undefined && candidate !== undefined
    const weight = live?.steps[live.step]?.weight
    // An arm that this replica cannot serve is not drawn, and its units are not counted as drawn.
    const isDrawing = live !== null && live.status !== 'paused' && !isHeld
    drawing =
      isDrawing && isWhole && candidate && weight !== undefined
        ? { live, weight, cohort: cohortOf(live.id, live.step), candidate }
        : undefined
    for (const listener of listeners) listener()
  }

  settle()
  const outside = (): Assignment => ({ config: stable, arm: 'stable', cohort: '' })
  return {
    stable: () => stable,
    candidate: () => candidate,

    assign(unit) {
      if (!drawing) return outside()
      const { live, weight, cohort } = drawing
      const arm = drawArm(live.salt, unit, weight)
      return { config: arm === 'canary' ? drawing.candidate : stable, arm, cohort }
    },

    pick(name, by) {
      const config = versions.get(name)
      if (!config) throw new ParleyError('config_not_found')
      if (by !== undefined) checkPick(config, by)
      const isKnown = picked.has(name) || config === stable || config === candidate
      picked.set(name, config)
      if (!isKnown) for (const listener of listeners) listener()
      return { config, arm: config === candidate ? 'canary' : 'stable', cohort: 'picked' }
    },

    resolve({ config: name, arm, cohort }: Pin) {
      const holds = cohort === 'picked' || (state.live !== null && readCohort(cohort)?.rollout === state.live.id)
      const config = holds ? versions.get(name) : undefined
      if (!config) return outside()
      return { config, arm, cohort: isWhole || cohort === 'picked' ? cohort : '' }
    },

    rolledBackSince: (version, at) =>
      state.finished.some(
        (one) => one.outcome === 'rolled-back' && one.candidate.version === version && one.endedAt + SKEW_MS >= at,
      ),

    inUse: () => [...new Set([stable, ...(candidate ? [candidate] : []), ...picked.values()])],

    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    apply(next) {
      state = next
      settle()
    },

    hold(next) {
      if (next === isHeld) return
      isHeld = next
      settle()
    },
  }
}
