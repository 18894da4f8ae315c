import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { ConfigVersion } from './document.ts'
import type { Assignment, Pin, Serving } from './serving.ts'

/** Whether a version has what is asked for: a specialist, an action. */
export type Has = (config: ConfigVersion) => boolean

/**
 * What serves a unit that begins now: as it is drawn; where the version that was drawn lacks what is asked for, and another
 * one is served that has it, that one: nobody should meet a thing at one request and miss it at the next. What one of the two
 * versions alone has is never counted, whatever was drawn: it would count for one arm, and could not for the other.
 */
export function assignFor(serving: Serving, unit: string, has: Has): Assignment {
  const assigned = preferring(serving, serving.assign(unit), has)
  const candidate = serving.candidate()
  const isOfBoth = candidate === undefined || has(serving.stable()) === has(candidate)
  return isOfBoth ? assigned : { ...assigned, cohort: '' }
}

/**
 * What a pin means now, by the same rule. Where no version that is served has what is asked for any more, the pinned one goes on
 * with it, unless it was rolled back.
 */
export function resolveFor(serving: Serving, pin: Pin, has: Has): Assignment {
  const resolved = preferring(serving, serving.resolve(pin), has)
  if (has(resolved.config) || serving.rolledBackSince(pin.config, 0)) return resolved
  const own = pinned(serving, pin)
  return own && has(own) ? { config: own, arm: 'stable', cohort: '' } : resolved
}

/** A version by name, for those who operate, also to test it. Throws forbidden, config_not_found. */
export function pickVersion(
  serving: Serving,
  { id, roles }: Pick<Principal, 'id' | 'roles'>,
  version: string,
): Assignment {
  if (!roles.some((role) => role === 'Config.Operator' || role === 'Admin')) {
    throw new ParleyError('forbidden', { message: 'Only Config.Operator and Admin may choose the config version.' })
  }
  return serving.pick(version, id)
}

/** Whether what comes of it says anything about a version. */
export function isCounted({ cohort }: Pick<Pin, 'cohort'>): boolean {
  return cohort !== '' && cohort !== 'picked'
}

/** Undefined when the version has vanished. */
function pinned(serving: Serving, { config }: Pin): ConfigVersion | undefined {
  try {
    return serving.pick(config).config
  } catch (error) {
    if (error instanceof ParleyError && error.code === 'config_not_found') return undefined
    throw error
  }
}

function preferring(serving: Serving, drawn: Assignment, has: Has): Assignment {
  if (drawn.cohort === 'picked' || has(drawn.config)) return drawn
  const stable = serving.stable()
  if (has(stable)) return { config: stable, arm: 'stable', cohort: '' }
  const candidate = serving.candidate()
  return candidate && has(candidate) ? { config: candidate, arm: 'canary', cohort: '' } : drawn
}
