import { randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#log.ts'
import { hashOf } from '../load.ts'
import type { VersionRecord } from '../register.ts'
import { isVersionName } from '../version-names.ts'
import { parseRecord } from './records.ts'

const extension = '.version'
const newline = 10

/** A version as it is kept: what the register says of it, the name of its blob, its bytes. */
export interface Kept {
  record: VersionRecord
  file: string
  bytes: Buffer
}

/**
 * Sound versions on this replica's own disk, for as long as the store is away, or has lost one. A file is one version: a line of
 * JSON, then the bytes as they were pushed. A folder that cannot be used costs that, and nothing else.
 */
export class KeptVersions {
  readonly #dir: string
  readonly #log: Log

  constructor(dir: string, log: Log) {
    this.#dir = dir
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

  /** Undefined when it is not there, or no longer what was kept. */
  async read(name: string): Promise<Kept | undefined> {
    if (!isVersionName(name)) return undefined
    const content = await readFile(this.#path(name)).catch(() => undefined)
    if (!content) return undefined
    const kept = parse(content)
    if (kept?.record.version === name && hashOf(kept.bytes) === kept.record.hash) return kept
    this.#log.error({ version: name }, 'A kept config version is damaged')
    return undefined
  }

  /** Written whole or not at all. Never rejects. */
  async keep({ record, file, bytes }: Kept): Promise<void> {
    const draft = join(this.#dir, `${randomUUID()}.draft`)
    try {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 })
      {
        await using handle = await open(draft, 'wx', 0o600)
        await handle.writeFile(`${JSON.stringify({ file, record })}\n`)
        await handle.writeFile(bytes)
        await handle.sync()
      }
      await rename(draft, this.#path(record.version))
    } catch (error) {
      this.#log.warn({ err: error, version: record.version }, 'A config version could not be kept on disk')
      await rm(draft, { force: true }).catch(() => {})
    }
  }

  async drop(name: string): Promise<void> {
    await rm(this.#path(name), { force: true }).catch(() => {})
  }

  #path(name: string): string {
    return join(this.#dir, `${name}${extension}`)
  }
}

function parse(content: Buffer): Kept | undefined {
  const end = content.indexOf(newline)
  if (end === -1) return undefined
  const head = content.toString('utf8', 0, end)
  try {
    const { file, record: given }: { file?: unknown; record?: unknown } = JSON.parse(head)
    const record = parseRecord(given)
    return typeof file === 'string' && record ? { record, file, bytes: content.subarray(end + 1) } : undefined
  } catch {
    return undefined
  }
}
