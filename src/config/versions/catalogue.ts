import type { Log } from '#log.ts'
import type { RefusedVersion, VersionEntry } from '../version-entry.ts'
import { compareVersions } from '../version-names.ts'
import { isGone, type Known, type Refusal } from './known.ts'

/** What this replica knows of versions, in memory: the sound ones, and what was refused. */
export class Catalogue {
  readonly #log: Log
  readonly #known = new Map<string, Known>()
  /** By name of the version. */
  readonly #refusals = new Map<string, { firstSeenAt: number; refusals: readonly Refusal[] }>()
  #newest: Known | undefined

  constructor(log: Log) {
    this.#log = log
  }

  get(name: string): Known | undefined {
    return this.#known.get(name)
  }

  get size(): number {
    return this.#known.size
  }

  names(): IterableIterator<string> {
    return this.#known.keys()
  }

  /** Of those whose blobs this process has seen; where there are none, of all. */
  newest(): Known | undefined {
    return this.#newest
  }

  set(name: string, known: Known): void {
    this.#known.set(name, known)
    this.rank()
  }

  delete(name: string): void {
    this.#known.delete(name)
    this.rank()
  }

  rank(): void {
    const known = [...this.#known.values()]
    const seen = known.filter(({ isSeen }) => isSeen)
    this.#newest = (seen.length > 0 ? seen : known).reduce<Known | undefined>(newer, undefined)
  }

  /** What of a name is refused now, in the place of what was. */
  refuse(name: string, refusals: readonly Refusal[], now: number): void {
    const before = this.#refusals.get(name)
    if (refusals.length === 0) this.#refusals.delete(name)
    else this.#refusals.set(name, { firstSeenAt: before?.firstSeenAt ?? now, refusals })
    for (const { file, reason, faults } of refusals) {
      if (before?.refusals.some((known) => known.file === file && known.reason === reason)) continue
      for (const fault of faults) this.#log.error({ file, ...fault }, 'Config version refused')
    }
  }

  refusedNames(): string[] {
    return [...this.#refusals.keys()]
  }

  /** Newest first. */
  refused(): RefusedVersion[] {
    const byName = [...this.#refusals].sort(([a], [b]) => compareVersions(b, a))
    return byName.flatMap(([version, { refusals }]) => refusals.map(({ file, faults }) => ({ version, file, faults })))
  }

  entry(name: string): VersionEntry | undefined {
    const refused = this.#refusals.get(name)
    const faults = (refused?.refusals ?? []).flatMap((refusal) => refusal.faults)
    const known = this.#known.get(name)
    if (known) {
      const { version, record, approval, size } = known
      return {
        ...{ name, hash: version.hash, size, description: version.document.description },
        ...{ firstSeenAt: record.firstSeenAt, uploadedBy: record.uploadedBy, approvedBy: approval?.by ?? null },
        // Whoever takes a version away does not want it to begin.
        status: refused?.refusals.some(isGone) ? 'refused' : 'sound',
        faults,
      }
    }
    const [first] = refused?.refusals ?? []
    if (!refused || !first) return undefined
    const { hash, size } = first
    const { firstSeenAt } = refused
    return {
      ...{ name, hash, size, description: null, firstSeenAt, uploadedBy: null, approvedBy: null },
      ...{ status: 'refused', faults },
    }
  }

  /** Newest first. */
  entries(): VersionEntry[] {
    const names = [...new Set([...this.#known.keys(), ...this.#refusals.keys()])].sort((a, b) => compareVersions(b, a))
    return names.map((name) => this.entry(name)).filter((entry) => entry !== undefined)
  }

  /** Where a version is that cannot be served. */
  refusedFile(name: string): string | undefined {
    return this.#refusals.get(name)?.refusals[0]?.file
  }
}

function newer(best: Known | undefined, each: Known): Known {
  return !best || compareVersions(each.version.name, best.version.name) > 0 ? each : best
}
