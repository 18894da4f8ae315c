import { ParleyError } from '#errors.ts'
import type { BlobStore } from '#platform/blob/blob.ts'
import type { VersionApproval, VersionRecord } from '../register.ts'
import { versionOf } from '../version-names.ts'
import { parseApproval, parseRecord } from './records.ts'

/** The register that all replicas share. Methods reject with blob_unavailable; what is in it never changes. */
export class RegisterBlobs {
  readonly #blobs: BlobStore

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  find(name: string): Promise<VersionRecord | undefined> {
    return this.#read(`versions/${name}.json`, parseRecord)
  }

  /** The record that stands: this one, unless there was one before. */
  enter(record: VersionRecord): Promise<VersionRecord> {
    return this.#create(`versions/${record.version}.json`, record, parseRecord)
  }

  /** Of the names of versions that were approved. */
  async *approved(): AsyncIterable<string> {
    for await (const { name } of this.#blobs.list('approvals/')) {
      if (name.endsWith('.json')) yield versionOf(name.slice(name.lastIndexOf('/') + 1))
    }
  }

  findApproval(name: string): Promise<VersionApproval | undefined> {
    return this.#read(`approvals/${name}.json`, parseApproval)
  }

  /** The approval that stands: the first. */
  approve(approval: VersionApproval): Promise<VersionApproval> {
    return this.#create(`approvals/${approval.version}.json`, approval, parseApproval)
  }

  async #create<Entry>(name: string, entry: Entry, parse: (value: unknown) => Entry | undefined): Promise<Entry> {
    const bytes = Buffer.from(JSON.stringify(entry))
    if (await this.#blobs.put(name, bytes, { absent: true })) return entry
    const standing = await this.#read(name, parse)
    if (standing) return standing
    throw new ParleyError('blob_unavailable', { message: `The blob ${name} comes and goes.` })
  }

  async #read<Entry>(name: string, parse: (value: unknown) => Entry | undefined): Promise<Entry | undefined> {
    const blob = await this.#blobs.get(name)
    if (blob === undefined || blob === 'unchanged') return undefined
    const entry = parse(jsonOf(blob.bytes))
    if (entry) return entry
    throw new ParleyError('blob_unavailable', { message: `The blob ${name} of the register is damaged.` })
  }
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}
