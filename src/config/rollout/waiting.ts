import type { ConfigVersion } from '../document.ts'
import { compareVersions } from '../version-names.ts'
import type { KnownVersion } from './known-versions.ts'
import type { RolloutState } from './state.ts'

export interface WaitingOptions {
  state: RolloutState
  /** Newest first. */
  known: readonly KnownVersion[]
  stable: ConfigVersion
  get(name: string): ConfigVersion | undefined
  startsByItself: boolean
  /** Whether a second operator has to agree before this one starts by the word of `by`; null: by itself. */
  needsSecond(candidate: ConfigVersion, entry: KnownVersion, by: string | null): boolean
}

export interface Waiting {
  version: string
  reason: string
  /** Nothing keeps it from beginning by itself. */
  isFree: boolean
}

/**
 * Sound versions that are newer than all that was stable or on its way to it, newest first, and what each waits for. One that is
 * older than the newest that was tried is superseded: it begins by hand only. So does one that was rolled back.
 */
export function waitingVersions(options: WaitingOptions): Waiting[] {
  const { state, known, get } = options
  const { live, finished, stable } = state
  const tried = [stable, ...(live ? [live.candidate] : []), ...finished.map(({ candidate }) => candidate)]
  const isNewer = (name: string) => tried.every(({ version }) => compareVersions(name, version) > 0)
  const sound = known.filter(({ name, status }) => status === 'sound' && isNewer(name))
  let isFree = true
  return sound.flatMap((entry) => {
    const candidate = get(entry.name)
    if (!candidate) return []
    const reason = reasonOf(options, candidate, entry, isFree)
    const waiting = { version: entry.name, reason: reason ?? 'It begins now.', isFree: reason === undefined }
    if (waiting.isFree) isFree = false
    return [waiting]
  })
}

function reasonOf(
  { state, stable, startsByItself, needsSecond }: WaitingOptions,
  candidate: ConfigVersion,
  entry: KnownVersion,
  isFirst: boolean,
): string | undefined {
  if (candidate.hash === stable.hash) return `It is the same as ${stable.name}, which is stable.`
  if (needsSecond(candidate, entry, null)) return askedOfPeople(entry)
  if (state.live) return `It waits until the rollout of ${state.live.candidate.version} has ended.`
  if (!startsByItself) return 'It is started by hand.'
  return isFirst ? undefined : 'A newer one goes before it.'
}

function askedOfPeople({ uploadedBy, approvedBy }: KnownVersion): string {
  if (uploadedBy) return 'It guards less than stable does: a second operator has to agree.'
  const unknown = 'It guards less than stable does, and nobody knows who put it there'
  return approvedBy
    ? `${unknown}: beside the one who approved it a second operator has to agree, by starting it.`
    : `${unknown}: one operator has to approve it, and a second operator to start it.`
}

/**
 * Whether two people stand for it: who pushed it, who approved it, who starts it (null: it begins by itself). Who put it there by
 * other means than a push may be any of these.
 */
export function hasSecond({ uploadedBy, approvedBy }: KnownVersion, by: string | null): boolean {
  const people = [uploadedBy?.id, approvedBy?.id, by ?? undefined].filter((id) => id !== undefined)
  return new Set(people).size >= 2
}
