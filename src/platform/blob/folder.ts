import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { access, constants, mkdir, open, readdir, realpath, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import { type Blob, type BlobCondition, type BlobInfo, type BlobStore, blobLimits, type Lease } from './blob.ts'
import { lookNow, lookOf, readWhole, syncFolder, takePlace } from './folder-file.ts'
import { endLease, extendLease, holdLock, takeLease, type Writing } from './folder-lock.ts'
import { checkBytes, checkLeaseTime, checkMaxBytes, checkName, leaseHeld, splitPrefix, unavailable } from './limits.ts'

/** Ours, beside the blobs: drafts, and the lock. What begins with a dot is no blob. */
const ownFolder = '.parley'
/** What a crash has left is nobody's any more after this. */
const draftLivesMs = 3_600_000

/**
 * Blobs as files of a folder that several processes of one machine may share, and that people may edit. It is never created here:
 * one that has gone is out of reach until it is back, and is not taken for an empty one.
 */
export class FolderBlobStore implements BlobStore {
  readonly engine = 'folder'
  readonly #root: string
  readonly #clock: Clock
  readonly #log: Log
  #reachable = true
  #isClosed = false
  #hasSwept = false

  constructor(options: { root: string; clock: Clock; log: Log }) {
    this.#root = options.root
    this.#clock = options.clock
    this.#log = options.log
  }

  get reachable(): boolean {
    return this.#reachable
  }

  async get(
    name: string,
    { ifNot, maxBytes = blobLimits.bytes }: { ifNot?: string; maxBytes?: number } = {},
  ): Promise<Blob | 'unchanged' | undefined> {
    checkName(name)
    checkMaxBytes(maxBytes)
    return this.#run(async () => {
      const folder = await this.#folder(dirname(name))
      if (folder === undefined) return undefined
      const found = await readWhole(this.#path(name), maxBytes, ifNot).catch(unlessMissing)
      if (found === undefined) return this.#absent()
      return found === 'unchanged' ? found : { name, ...found }
    })
  }

  async put(name: string, bytes: Uint8Array, condition?: BlobCondition): Promise<{ etag: string } | undefined> {
    checkName(name)
    checkBytes(bytes)
    return this.#write(async () => {
      const path = this.#path(name)
      const folder = await this.#makeFolder(dirname(name))
      const draftPath = join(this.#root, ownFolder, `${randomUUID()}.draft`)
      await using cleanup = new AsyncDisposableStack()
      cleanup.defer(() => rm(draftPath, { force: true }))
      await using draft = await open(draftPath, 'wx')
      await draft.writeFile(bytes)
      await draft.sync()
      const written = await this.#locked(() => {
        const before = lookNow(path)
        if (before?.isDirectory()) throw new RangeError('A blob cannot have the name of a folder of blobs')
        if (!holds(condition, before && lookOf(before).etag)) return undefined
        return takePlace(path, draft, draftPath, before)
      })
      if (written) await syncFolder(folder)
      return written && { etag: written.etag }
    })
  }

  async delete(name: string, { ifMatch }: { ifMatch?: string } = {}): Promise<boolean> {
    checkName(name)
    return this.#write(async () => {
      const folder = await this.#folder(dirname(name))
      if (folder === undefined) return false
      const path = this.#path(name)
      const isGone = await this.#locked(() => {
        const before = lookNow(path)
        if (!before?.isFile() || (ifMatch !== undefined && lookOf(before).etag !== ifMatch)) return false
        rmSync(path)
        return true
      })
      if (isGone) await syncFolder(folder)
      return isGone
    })
  }

  async *list(prefix: string): AsyncIterable<BlobInfo> {
    const { folder, begin } = splitPrefix(prefix)
    const files = await this.#run(async () => {
      const path = await this.#folder(folder)
      if (path === undefined) return []
      return (await readdir(path).catch(unlessMissing)) ?? (await this.#absent()) ?? []
    })
    for (const file of files) {
      if (file.startsWith('.') || !file.startsWith(begin)) continue
      const name = folder === '' ? file : `${folder}/${file}`
      const stats = await this.#run(
        async () => (await stat(this.#path(name), { bigint: true }).catch(unlessMissing)) ?? this.#absent(),
      )
      if (stats?.isFile()) yield { name, ...lookOf(stats) }
    }
  }

  async lease(name: string, ttlMs: number): Promise<Lease | undefined> {
    checkName(name)
    checkLeaseTime(ttlMs)
    const clock = this.#clock
    const holder = randomUUID()
    const askedAt = clock.monotonic()
    const until = () => ({ name, holder, now: clock.now(), endsAt: clock.now() + ttlMs })
    const inTurn = <Result>(work: (database: DatabaseSync) => Result, writing?: Writing) =>
      this.#write(() => this.#locked(work, writing))
    if (!(await inTurn((database) => takeLease(database, until())))) return undefined
    return leaseHeld({
      ...{ clock, ttlMs, askedAt },
      // Every few seconds, and whoever waits for the disk then is the event loop: 20 ms each time. No lease outlives the machine.
      renew: () => inTurn((database) => extendLease(database, until()), 'unsynced'),
      release: () => inTurn((database) => endLease(database, name, holder)),
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
  }

  #path(name: string): string {
    return join(this.#root, name)
  }

  #locked<Result>(work: (database: DatabaseSync) => Result, writing?: Writing): Promise<Result> {
    return holdLock(this.#clock, join(this.#root, ownFolder, 'lock.db'), work, writing)
  }

  /**
   * Where a folder of blobs is; undefined when there is none. Files may be links to wherever they lead, as people put them there;
   * folders may not, or a name could lead out of the store.
   */
  async #folder(folder: string): Promise<string | undefined> {
    if (folder === '' || folder === '.') return this.#root
    const path = this.#path(folder)
    const real = await realpath(path).catch(unlessMissing)
    if (real === undefined) return this.#absent()
    return real === join(await realpath(this.#root), folder) ? path : undefined
  }

  /** Folder by folder, so that the store itself is never made. */
  async #makeFolder(folder: string): Promise<string> {
    const segments = folder === '.' ? [] : folder.split('/')
    for (let depth = 1; depth <= segments.length; depth++) {
      const path = this.#path(segments.slice(0, depth).join('/'))
      const isNew = await mkdir(path).then(() => true, unlessThere)
      if (isNew) await syncFolder(dirname(path))
    }
    const path = await this.#folder(folder)
    if (path === undefined || !(await stat(path)).isDirectory())
      throw new RangeError('A folder of blobs cannot have the name of a blob, nor be a link')
    return path
  }

  /** Undefined, since the store is there; rejects when it is the store that is missing. */
  async #absent(): Promise<undefined> {
    await access(this.#root, constants.R_OK | constants.X_OK)
  }

  async #run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#isClosed) throw unavailable('The blob store is closed.')
    try {
      const result = await work()
      this.#found(true)
      return result
    } catch (error) {
      if (error instanceof RangeError) throw error
      this.#found(
        await this.#absent().then(
          () => true,
          () => false,
        ),
        error,
      )
      if (error instanceof ParleyError) throw error
      const what = this.#reachable ? 'A blob' : 'The folder of blobs'
      throw unavailable(`${what} cannot be read (${codeOf(error)}).`, error)
    }
  }

  /** With a folder for what is ours. */
  #write<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#run(async () => {
      try {
        await this.#absent()
        const own = join(this.#root, ownFolder)
        await mkdir(own).catch(unlessThere)
        if (!this.#hasSwept) await this.#sweep(own)
        return await work()
      } catch (error) {
        if (!isRefusal(error)) throw error
        throw unavailable(`The folder of blobs cannot be written to (${codeOf(error)}).`, error)
      }
    })
  }

  async #sweep(own: string): Promise<void> {
    this.#hasSwept = true
    for (const file of await readdir(own)) {
      if (!file.endsWith('.draft')) continue
      const stats = await stat(join(own, file)).catch(unlessMissing)
      if (stats && stats.mtimeMs < Date.now() - draftLivesMs) await rm(join(own, file), { force: true })
    }
  }

  #found(reachable: boolean, error?: unknown): void {
    if (reachable === this.#reachable) return
    this.#reachable = reachable
    if (reachable) this.#log.info({ folder: this.#root }, 'The folder of blobs is within reach')
    else this.#log.warn({ folder: this.#root, err: error }, 'The folder of blobs is out of reach')
  }
}

function holds(condition: BlobCondition | undefined, etag: string | undefined): boolean {
  if (condition === undefined) return true
  return 'absent' in condition ? etag === undefined : etag === condition.ifMatch
}

/** Not there, or a link that leads nowhere or back to itself. */
function unlessMissing(error: unknown): undefined {
  if (!['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(codeOf(error))) throw error
}

function unlessThere(error: unknown): false {
  if (codeOf(error) !== 'EEXIST') throw error
  return false
}

const readOnly = 8

function isRefusal(error: unknown): boolean {
  if (['EROFS', 'EACCES', 'EPERM', 'ENOSPC', 'EDQUOT'].includes(codeOf(error))) return true
  return error instanceof Error && 'errcode' in error && error.errcode === readOnly
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
