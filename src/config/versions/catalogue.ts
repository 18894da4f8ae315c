import { LRUCache } from 'lru-cache'
import type { Log } from '#log.ts'
import type { ConfigVersion } from '../document.ts'
import type { RefusedVersion, VersionEntry } from '../version-entry.ts'
import { compareVersions } from '../version-names.ts'
import { isGone, type Known, type Refusal } from './known.ts'

/** Documents that stay in memory although nobody serves from them: those that were asked for last. */
const ASKED_FOR = 16

/**
 * What this replica knows of versions, in memory: the sound ones, and what was refused. Of hundreds of sound ones few are used, so
 * documents are read from this replica's disk when they are asked for. While anybody holds one, it is the same object for all.
 */
export class Catalogue {
  readonly #log: Log
  readonly #read: (known: Known) => ConfigVersion | undefined
  readonly #lately = new LRUCache<string, ConfigVersion>({ max: ASKED_FOR })
  readonly #held = new Map<string, WeakRef<ConfigVersion>>()
  /** Those that no disk has. */
  readonly #unkept = new Map<string, ConfigVersion>()
  readonly #known = new Map<string, Known>()
  /** By name of the version. */
  readonly #refusals = new Map<string, { firstSeenAt: number; refusals: readonly Refusal[] }>()
  #newest: Known | undefined

  /** `read`: from this replica's disk; undefined where it is not there as it was kept. */
  constructor(log: Log, read: (known: Known) => ConfigVersion | undefined) {
    this.#log = log
    this.#read = read
  }

  get(name: string): Known | undefined {
    return this.#known.get(name)
  }

  /** Undefined where it is not known, and where the disk has lost it: then it is not known any more. */
  version(name: string): ConfigVersion | undefined {
    const known = this.#known.get(name)
    if (!known) return undefined
    const found = this.#held.get(name)?.deref() ?? this.#unkept.get(name) ?? this.#read(known)
    if (found) this.#hold(found)
    else this.delete(name)
    return found
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

  set(known: Known): void {
    const { name, hash } = known
    if (this.#known.get(name)?.hash !== hash) this.#forgetVersion(name)
    this.#known.set(name, known)
    this.rank()
  }

  /** The same, with its document; `isKept`: the disk has it. */
  setVersion(known: Known, version: ConfigVersion, isKept: boolean): void {
    this.set(known)
    this.#hold(version)
    if (isKept) this.#unkept.delete(known.name)
    else this.#unkept.set(known.name, version)
  }

  delete(name: string): void {
    this.#known.delete(name)
    this.#forgetVersion(name)
    this.rank()
  }

  #hold(version: ConfigVersion): void {
    const { name } = version
    this.#lately.set(name, version)
    if (this.#held.get(name)?.deref() !== version) this.#held.set(name, new WeakRef(version))
  }

  #forgetVersion(name: string): void {
    this.#lately.delete(name)
    this.#held.delete(name)
    this.#unkept.delete(name)
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
      const { hash, description, record, approval, size } = known
      return {
        ...{ name, hash, size, description },
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
  return !best || compareVersions(each.name, best.name) > 0 ? each : best
}
