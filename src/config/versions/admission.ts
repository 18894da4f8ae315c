import { ParleyError } from '#errors.ts'
import type { BlobInfo, BlobStore } from '#platform/blob/blob.ts'
import type { Clock } from '#platform/clock.ts'
import type { ConfigVersion } from '../document.ts'
import { hashOf, type Load } from '../load.ts'
import type { VersionRecord } from '../register.ts'
import { MAX_CONFIG_BYTES } from '../source.ts'
import { formatOf, isVersionName } from '../version-names.ts'
import type { Catalogue } from './catalogue.ts'
import type { KeptVersions } from './disk.ts'
import { knownOf } from './kept-copies.ts'
import { type Known, type Refusal, refusalOf } from './known.ts'
import type { RegisterBlobs } from './register-blobs.ts'

export const oddName = 'needs a name of 1 to 64 letters, digits, dots, dashes or underscores'

export interface AdmissionOptions {
  versions: BlobStore
  register: RegisterBlobs
  catalogue: Catalogue
  kept: KeptVersions
  load: Load
  clock: Clock
}

/** A blob's bytes in the making of a version. */
interface Candidate {
  file: string
  bytes: Buffer
  hash: string
}

/**
 * Decides about all blobs of one name, which has one version for good: the bytes that the register holds the hash of. It
 * answers with those that are refused, and rejects with blob_unavailable where a store is out of reach.
 */
export class VersionAdmission {
  readonly #options: AdmissionOptions
  readonly #onNew: (version: ConfigVersion) => void

  constructor(options: AdmissionOptions, onNew: (version: ConfigVersion) => void) {
    this.#options = options
    this.#onNew = onNew
  }

  async judge(name: string, blobs: readonly BlobInfo[]): Promise<Refusal[]> {
    if (!isVersionName(name)) return blobs.map((blob) => refusalOf(blob, 'name', oddName))
    const { catalogue, register } = this.#options
    const known = catalogue.get(name)
    if (known?.isEntered) return this.#compare(known, blobs)
    // The register has lost what this replica knows, or never had it.
    const record = (await register.find(name)) ?? (known && (await register.enter(known.record)))
    if (!known || record?.hash !== known.hash) {
      // The disk's is of another place, where the name had other bytes.
      if (known) await this.#forget(name)
      return this.#admit(name, blobs, record)
    }
    known.record = record
    known.isEntered = true
    return this.#compare(known, blobs)
  }

  /** Keeps a version that the register has. */
  async accept(known: Known, version: ConfigVersion, bytes: Buffer): Promise<void> {
    const { catalogue, kept } = this.#options
    const isKept = await kept.keep(known, version, bytes)
    const isNew = catalogue.get(known.name)?.hash !== known.hash
    catalogue.setVersion(known, version, isKept)
    if (isNew) this.#onNew(version)
  }

  async #forget(name: string): Promise<void> {
    this.#options.catalogue.delete(name)
    await this.#options.kept.drop(name)
  }

  async #compare(known: Known, blobs: readonly BlobInfo[]): Promise<Refusal[]> {
    const { hash } = known
    const refusals: Refusal[] = []
    const alike: string[] = []
    for (const blob of blobs) {
      const read = await this.#read(blob)
      if ('reason' in read) refusals.push(read)
      else if (read.hash === hash) alike.push(blob.name)
      else refusals.push(blob.name === known.file ? changed(blob, read.hash) : other(blob, known, read.hash))
    }
    const own = alike.includes(known.file) ? known.file : alike[0]
    if (own !== undefined) known.file = own
    for (const file of alike) {
      const blob = blobs.find((each) => each.name === file)
      if (blob && file !== own) refusals.push(other(blob, known, hash))
    }
    if (!known.isSeen && blobs.length > 0) {
      known.isSeen = true
      this.#options.catalogue.rank()
    }
    if (blobs.some((blob) => blob.name === known.file)) return refusals
    const message = 'is gone; its version goes on being served as it was'
    return [...refusals, refusalOf({ name: known.file, size: known.size }, 'gone', message, hash)]
  }

  async #admit(name: string, blobs: readonly BlobInfo[], record: VersionRecord | undefined): Promise<Refusal[]> {
    if (!record && blobs.length > 1) return blobs.map((blob) => clash(blob, blobs))
    const refusals: Refusal[] = []
    for (const blob of blobs) {
      const known = this.#options.catalogue.get(name)
      const refusal =
        known?.isEntered && record?.hash === known.hash
          ? other(blob, known, '')
          : await this.#admitOne(name, blob, record)
      if (refusal) refusals.push(refusal)
    }
    return refusals
  }

  async #admitOne(name: string, blob: BlobInfo, record: VersionRecord | undefined): Promise<Refusal | undefined> {
    const { load, register, clock } = this.#options
    const read = await this.#read(blob)
    if ('reason' in read) return read
    const { bytes, hash } = read
    if (record && record.hash !== hash) return changed(blob, hash)
    const loaded = await load(name, bytes, formatOf(blob.name))
    if ('faults' in loaded) {
      return { file: blob.name, reason: hash, faults: loaded.faults, hash, size: bytes.length }
    }
    const fresh = { version: name, hash, firstSeenAt: clock.now(), uploadedBy: null }
    const standing = record ?? (await register.enter(fresh))
    if (standing.hash !== hash) return changed(blob, hash)
    const { version } = loaded
    const found = { record: standing, file: blob.name, size: bytes.length, isSeen: true, isEntered: true }
    await this.accept(knownOf(version, found), version, bytes)
    return undefined
  }

  async #read(blob: BlobInfo): Promise<Candidate | Refusal> {
    if (blob.size > MAX_CONFIG_BYTES) return refusalOf(blob, 'size', `is larger than ${MAX_CONFIG_BYTES} bytes`)
    const found = await this.#get(blob)
    if ('reason' in found) return found
    return { file: blob.name, bytes: found.bytes, hash: hashOf(found.bytes) }
  }

  async #get(blob: BlobInfo): Promise<{ bytes: Buffer } | Refusal> {
    const { versions } = this.#options
    try {
      const found = await versions.get(blob.name, { maxBytes: MAX_CONFIG_BYTES + 1 })
      if (found !== undefined && found !== 'unchanged') return found
      return refusalOf(blob, 'read', 'cannot be read: it was gone when it was')
    } catch (error) {
      // It is this one only, as the message tells.
      if (!(error instanceof ParleyError) || !versions.reachable) throw error
      return refusalOf(blob, 'read', `cannot be read: ${error.message}`)
    }
  }
}

function changed(blob: BlobInfo, hash: string): Refusal {
  const message = 'was changed: versions are immutable, give the new one a new name'
  return refusalOf(blob, `changed ${hash}`, message, hash)
}

function other(blob: BlobInfo, { name, file }: Known, hash: string): Refusal {
  const message = `is refused: versions are immutable, and ${name} was read from ${file}`
  return refusalOf(blob, 'other', message, hash)
}

function clash(blob: BlobInfo, blobs: readonly BlobInfo[]): Refusal {
  const others = blobs.filter(({ name }) => name !== blob.name).map(({ name }) => name)
  return refusalOf(blob, 'clash', `names the same version as ${others.join(', ')}`)
}
