import type { Log } from '#log.ts'
import type { BlobInfo, BlobStore } from '#platform/blob/blob.ts'
import type { Clock } from '#platform/clock.ts'
import { compareVersions, isVersionFile, isVersionName, versionOf } from '../version-names.ts'
import type { VersionAdmission } from './admission.ts'
import type { Catalogue } from './catalogue.ts'
import type { KeptVersions } from './disk.ts'
import { inParallel } from './in-parallel.ts'
import type { RegisterBlobs } from './register-blobs.ts'

/** Versions that a replica knows, in memory and on its disk: the newest, and of older ones those that were asked for last. */
const maxNewest = 200
const maxAskedFor = 200
const atOnce = 8
/** A file of a folder that is found alike after this is not being written any more. */
const settledMs = 1000

export interface LooksOptions {
  versions: BlobStore
  register: RegisterBlobs
  catalogue: Catalogue
  kept: KeptVersions
  admission: VersionAdmission
  clock: Clock
  log: Log
}

/** Looks at what is in the store, and decides about what has changed since the last look. Looks come one after the other. */
export class VersionLooks {
  readonly #options: LooksOptions
  /** What a blob was like when first found so, and when that was. */
  #found: ReadonlyMap<string, { etag: string; at: number }> = new Map()
  /** The blobs of each name that was decided about. */
  readonly #decided = new Map<string, string>()
  /** Older versions that were asked for; the last one last. */
  readonly #askedFor = new Set<string>()
  #newest: ReadonlySet<string> = new Set()

  constructor(options: LooksOptions) {
    this.#options = options
  }

  /** Someone wants this version, which may be an old one. */
  ask(name: string): void {
    if (this.#newest.has(name) || !isVersionName(name)) return
    this.#askedFor.delete(name)
    this.#askedFor.add(name)
    const [oldest] = this.#askedFor
    if (this.#askedFor.size > maxAskedFor && oldest !== undefined) this.#askedFor.delete(oldest)
  }

  /** Of a version whose blob we have written ourselves. */
  wrote(file: string, etag: string): void {
    this.#decided.set(versionOf(file), keyOf([{ name: file, etag }]))
  }

  /** Rejects with blob_unavailable. `isFirst`: files are taken as they are. */
  async look(isFirst: boolean): Promise<void> {
    const { versions, catalogue, clock } = this.#options
    const blobs: BlobInfo[] = []
    for await (const blob of versions.list('')) if (isVersionFile(blob.name)) blobs.push(blob)
    const unsettled = this.#unsettled(blobs, isFirst || versions.engine === 'azure')
    const groups = Map.groupBy(blobs, ({ name }) => versionOf(name))
    const known = new Set(catalogue.names())
    const names = [...new Set([...groups.keys(), ...known])].sort((a, b) => compareVersions(b, a))
    this.#newest = new Set(names.filter(isVersionName).slice(0, maxNewest))
    for (const name of catalogue.refusedNames()) if (!groups.has(name) && !known.has(name)) this.#forget(name)

    const wanted = names.filter((name) => known.has(name) || this.#isWanted(name))
    await inParallel(atOnce, wanted, async (name) => {
      const group = groups.get(name) ?? []
      const key = keyOf(group)
      if (this.#decided.get(name) === key || group.some((blob) => unsettled.has(blob.name))) return
      const refusals = await this.#options.admission.judge(name, group)
      catalogue.refuse(name, refusals, clock.now())
      if (refusals.some(({ reason }) => reason === 'read')) this.#decided.delete(name)
      else this.#decided.set(name, key)
    })
    await this.#hearApprovals()
    if (!isFirst) await this.#dropOld()
  }

  /** What was not there like this before: somebody may be writing it still. */
  #unsettled(blobs: readonly BlobInfo[], isWhole: boolean): ReadonlySet<string> {
    const now = this.#options.clock.monotonic()
    const found = new Map(
      blobs.map(({ name, etag }) => {
        const before = this.#found.get(name)
        const at = before?.etag === etag ? before.at : now
        return [name, { etag, at: isWhole ? Number.NEGATIVE_INFINITY : at }] as const
      }),
    )
    this.#found = found
    return new Set([...found].filter(([, { at }]) => now - at < settledMs).map(([name]) => name))
  }

  #isWanted(name: string): boolean {
    return this.#newest.has(name) || this.#askedFor.has(name) || !isVersionName(name)
  }

  async #hearApprovals(): Promise<void> {
    const { register, catalogue } = this.#options
    for await (const name of register.approved()) {
      const known = catalogue.get(name)
      if (!known || known.approval) continue
      const approval = await register.findApproval(name)
      if (approval?.hash === known.version.hash) known.approval = approval
    }
  }

  async #dropOld(): Promise<void> {
    const { catalogue, kept, log } = this.#options
    for (const name of [...catalogue.names()].filter((name) => !this.#isWanted(name))) {
      catalogue.delete(name)
      this.#forget(name)
      await kept.drop(name)
      log.info({ version: name }, 'Old config version dropped')
    }
  }

  #forget(name: string): void {
    this.#options.catalogue.refuse(name, [], 0)
    this.#decided.delete(name)
  }
}

function keyOf(blobs: readonly Pick<BlobInfo, 'name' | 'etag'>[]): string {
  const parts = blobs.map(({ name, etag }) => `${name} ${etag}`).sort()
  return parts.join('\n')
}
