import type { Log } from '#log.ts'
import type { BlobInfo, BlobStore } from '#platform/blob/blob.ts'
import type { Clock } from '#platform/clock.ts'
import type { ConfigVersion } from '../document.ts'
import type { Load } from '../load.ts'
import { compareVersions, isVersionFile, isVersionName, versionOf } from '../version-names.ts'
import type { VersionAdmission } from './admission.ts'
import type { Catalogue } from './catalogue.ts'
import type { KeptVersions } from './disk.ts'
import { inParallel } from './in-parallel.ts'
import { restoreOne } from './kept-copies.ts'
import type { RegisterBlobs } from './register-blobs.ts'

/** Versions that a replica knows, and has on its disk: the newest, and of older ones those that were asked for last. */
const maxNewest = 200
const maxAskedFor = 200
const atOnce = 8
/** A file of a folder that is found alike after this is not being written any more. */
const settledMs = 1000
/** A look decides for so long; what is left then, the next one does: a start waits for the newest alone, and a push for none. */
const lookMs = 500

export interface LooksOptions {
  versions: BlobStore
  register: RegisterBlobs
  catalogue: Catalogue
  kept: KeptVersions
  admission: VersionAdmission
  load: Load
  clock: Clock
  log: Log
  /** Hears of what the disk had of a version: its blob, once found, is no news. */
  onRestored(version: ConfigVersion): void
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
  #isBehind = false
  /** Are there, and have yet to be decided about: being written, not come to, or not to be read. */
  #undecided: ReadonlySet<string> = new Set()
  /** Of those asked for, what was on the disk: tried once. */
  readonly #restored = new Set<string>()

  constructor(options: LooksOptions) {
    this.#options = options
  }

  /** Someone wants this version, which may be an old one, or not known yet. */
  ask(name: string): void {
    const isThere = this.#newest.has(name) && this.#options.catalogue.get(name) !== undefined
    if (isThere || !isVersionName(name)) return
    this.#askedFor.delete(name)
    this.#askedFor.add(name)
    const [oldest] = this.#askedFor
    if (this.#askedFor.size > maxAskedFor && oldest !== undefined) this.#askedFor.delete(oldest)
  }

  /** The last look has left something to the next. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /** It is in the store, and this replica cannot tell yet what it is. */
  isUndecided(name: string): boolean {
    return this.#undecided.has(name)
  }

  /** Of a version whose blob we have written ourselves. */
  wrote(file: string, etag: string): void {
    this.#decided.set(versionOf(file), keyOf([{ name: file, etag }]))
  }

  /** Rejects with blob_unavailable. `isFirst`: files are taken as they are. */
  async look(isFirst: boolean): Promise<void> {
    const { versions, catalogue, clock } = this.#options
    // With the store away nothing is left to do at once.
    this.#isBehind = false
    await this.#restoreAskedFor()
    const blobs: BlobInfo[] = []
    for await (const blob of versions.list('')) if (isVersionFile(blob.name)) blobs.push(blob)
    const unsettled = this.#unsettled(blobs, isFirst || versions.engine === 'azure')
    const groups = Map.groupBy(blobs, ({ name }) => versionOf(name))
    const known = new Set(catalogue.names())
    const names = [...new Set([...groups.keys(), ...known])].sort((a, b) => compareVersions(b, a))
    this.#newest = new Set(names.filter(isVersionName).slice(0, maxNewest))
    for (const name of catalogue.refusedNames()) if (!groups.has(name) && !known.has(name)) this.#forget(name)

    const wanted = names.filter((name) => known.has(name) || this.#isWanted(name))
    const inOrder = new Set([...wanted.filter((name) => this.#askedFor.has(name)), ...wanted])
    const due = [...inOrder].filter((name) => this.#isDue(name, keyOf(groups.get(name) ?? [])))
    const until = clock.monotonic() + lookMs
    let hasSound = !isFirst
    const undecided = new Set(due)
    this.#undecided = undecided
    await inParallel(atOnce, due, async (name) => {
      const group = groups.get(name) ?? []
      const key = keyOf(group)
      if (group.some((blob) => unsettled.has(blob.name))) return
      if (hasSound && clock.monotonic() > until) {
        this.#isBehind = true
        return
      }
      const refusals = await this.#options.admission.judge(name, group)
      catalogue.refuse(name, refusals, clock.now())
      if (refusals.some(({ reason }) => reason === 'read')) this.#decided.delete(name)
      else {
        this.#decided.set(name, key)
        undecided.delete(name)
      }
      hasSound ||= catalogue.get(name)?.isSeen === true
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

  /** Also where the disk has lost what was known of it. */
  #isDue(name: string, key: string): boolean {
    return this.#decided.get(name) !== key || this.#options.catalogue.entry(name) === undefined
  }

  async #hearApprovals(): Promise<void> {
    const { register, catalogue } = this.#options
    for await (const name of register.approved()) {
      const known = catalogue.get(name)
      if (!known || known.approval) continue
      const approval = await register.findApproval(name)
      if (approval?.hash === known.hash) known.approval = approval
    }
  }

  /** On the disk, where what they were checked by has changed since: their store may be away. */
  async #restoreAskedFor(): Promise<void> {
    for (const name of this.#askedFor) {
      if (this.#options.catalogue.get(name) || this.#restored.has(name)) continue
      this.#restored.add(name)
      const version = await restoreOne(this.#options, name)
      if (version) this.#options.onRestored(version)
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
