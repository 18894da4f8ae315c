/**
 * Bytes under names, for what is read by whole and written rarely: config versions, the state of a rollout. Two
 * implementations, Azure Blob Storage and a folder, are held together by `test/contracts/blob.ts`.
 *
 * A store is one container. Every method rejects with `ParleyError` `blob_unavailable` (503, retryable) while the store is out of
 * reach; programs that break a limit get a `RangeError`.
 */
export interface BlobStore {
  readonly engine: 'azure' | 'folder'
  /** False while the store is known to be out of reach. */
  readonly reachable: boolean

  /** At most `maxBytes` of it from its beginning, when given. `unchanged` when `ifNot` is its etag; undefined when it is not there. */
  get(name: string, options?: { ifNot?: string; maxBytes?: number }): Promise<Blob | 'unchanged' | undefined>
  /**
   * Writes it whole, and at once: no reader sees half of it. Undefined when the condition does not hold; without one it is written
   * whatever is there.
   */
  put(name: string, bytes: Uint8Array, condition?: BlobCondition): Promise<{ etag: string } | undefined>
  /** True when it was there (and, with `ifMatch`, was that one). */
  delete(name: string, options?: { ifMatch?: string }): Promise<boolean>
  /** All whose names begin with `prefix`, in no order. */
  list(prefix: string): AsyncIterable<BlobInfo>

  /**
   * The sole right to `name` (of this kind: a lease keeps nobody from reading or writing) for `ttlMs`, 15,000 to 60,000; undefined
   * while somebody else has it.
   */
  lease(name: string, ttlMs: number): Promise<Lease | undefined>

  close(): Promise<void>
}

/** `absent`: only where there is none. */
export type BlobCondition = { ifMatch: string } | { absent: true }

export interface BlobInfo {
  name: string
  /** Changes with each write. */
  etag: string
  /** In bytes. */
  size: number
  /** ms since the epoch. */
  modifiedAt: number
}

export interface Blob extends BlobInfo {
  bytes: Buffer
}

export interface Lease {
  /** For another `ttlMs`; false when it was lost. */
  renew(): Promise<boolean>
  /** Never rejects: what cannot be given back runs out. */
  release(): Promise<void>
}

export const blobLimits = {
  /** Of one blob. */
  bytes: 64 << 20,
  /** Segments of letters, digits, `.`, `_`, `-`, joined by `/`; no segment begins with a dot. */
  nameLength: 512,
} as const
