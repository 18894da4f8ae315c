import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#log.ts'
import type { ConfigVersion } from '../document.ts'
import { hashOf, sealDocument } from '../load.ts'
import { isVersionName } from '../version-names.ts'
import { type KeptHead, type KeptSource, readDocument, readHead, readSource, writeKept } from './kept-file.ts'

const extension = '.version'
/** As much as a head has at most. */
const headBytes = 32 * 1024

export interface KeptVersionsOptions {
  dir: string
  /** What versions are checked by, here and now, as a short text: what was checked by something else is checked anew. */
  checkedBy: string
  log: Log
}

/**
 * Sound versions on this replica's own disk: for as long as the store is away, or has lost one, and so that only those that are used
 * are in memory. A folder that cannot be used costs that, and nothing else.
 */
export class KeptVersions {
  readonly #dir: string
  readonly #checkedBy: string
  readonly #log: Log

  constructor({ dir, checkedBy, log }: KeptVersionsOptions) {
    this.#dir = dir
    this.#checkedBy = checkedBy
    this.#log = log
  }

  async names(): Promise<string[]> {
    try {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 })
      const files = await readdir(this.#dir)
      // What a crash has left half-written.
      const drafts = files.filter((file) => file.endsWith('.draft'))
      await Promise.all(drafts.map((file) => rm(join(this.#dir, file), { force: true })))
      return files.filter((file) => file.endsWith(extension)).map((file) => file.slice(0, -extension.length))
    } catch (error) {
      this.#log.warn({ err: error, folder: this.#dir }, 'Config versions cannot be kept on disk')
      return []
    }
  }

  /** What it is, without its bytes; undefined when it is not there, or was checked by something else than what checks here and now. */
  async head(name: string): Promise<KeptHead | undefined> {
    if (!isVersionName(name)) return undefined
    try {
      await using handle = await open(this.#path(name), 'r')
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(headBytes), 0, headBytes, 0)
      const { size } = await handle.stat()
      const head = readHead(buffer.subarray(0, bytesRead), size)
      return head?.checkedBy === this.#checkedBy && head.record.version === name ? head : undefined
    } catch {
      return undefined
    }
  }

  /** Undefined when it is not there, or no longer what was kept. */
  async read(name: string): Promise<KeptSource | undefined> {
    if (!isVersionName(name)) return undefined
    const content = await readFile(this.#path(name)).catch(() => undefined)
    if (!content) return undefined
    const kept = readSource(content)
    if (kept?.record.version === name && hashOf(kept.bytes) === kept.record.hash) return kept
    this.#log.error({ version: name }, 'A kept config version is damaged')
    return undefined
  }

  /** At once: whoever asks serves by it. It was validated when it was kept, and takes some ms for each MB. */
  version(name: string, hash: string): ConfigVersion | undefined {
    try {
      const { head, document } = readDocument(readFileSync(this.#path(name))) ?? {}
      const isAsKept = head?.record.hash === hash && document !== undefined && hashOf(document) === head.documentHash
      if (isAsKept) return { name, hash, document: sealDocument(JSON.parse(document.toString())) }
      this.#log.error({ version: name }, 'A kept config version is damaged')
    } catch (error) {
      this.#log.error({ err: error, version: name }, 'A kept config version cannot be read')
    }
    return undefined
  }

  /** Written whole or not at all: then false. Never rejects. */
  async keep(kept: Pick<KeptHead, 'record' | 'file'>, version: ConfigVersion, bytes: Buffer): Promise<boolean> {
    const draft = join(this.#dir, `${randomUUID()}.draft`)
    try {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 })
      {
        await using handle = await open(draft, 'wx', 0o600)
        await handle.writeFile(writeKept({ ...kept, checkedBy: this.#checkedBy }, version, bytes))
        await handle.sync()
      }
      await rename(draft, this.#path(kept.record.version))
      return true
    } catch (error) {
      this.#log.warn({ err: error, version: version.name }, 'A config version could not be kept on disk')
      await rm(draft, { force: true }).catch(() => {})
      return false
    }
  }

  async drop(name: string): Promise<void> {
    await rm(this.#path(name), { force: true }).catch(() => {})
  }

  #path(name: string): string {
    return join(this.#dir, `${name}${extension}`)
  }
}
