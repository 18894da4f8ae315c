/**
 * Bytes under names, for what is read by whole and written rarely: config versions, the state of a rollout. Two
 * implementations, Azure Blob Storage and a folder, are held together by `test/contracts/blob.ts`.
 *
 * A store is one container. Every method rejects with `ParleyError` `blob_unavailable` (503, retryable) while the store is out of
 * reach; programs that break a limit get a `RangeError`. A write that is rejected so may have happened all the same: whoever has to
 * know reads. With `reachable` true it is this blob, or writing, that is at fault, as the message says.
 */
export interface BlobStore {
  readonly engine: 'azure' | 'folder'
  /** False while the store is known to be out of reach. */
  readonly reachable: boolean

  /**
   * At most `maxBytes` of it from its beginning (`blobLimits.bytes` unless given); its `size` is that of the whole. `unchanged` when
   * `ifNot` is its etag; undefined when it is not there.
   */
  get(name: string, options?: { ifNot?: string; maxBytes?: number }): Promise<Blob | 'unchanged' | undefined>
  /**
   * Writes it whole, and at once: no reader sees half of it. Undefined when the condition does not hold; without one it is written
   * whatever is there.
   */
  put(name: string, bytes: Uint8Array, condition?: BlobCondition): Promise<{ etag: string } | undefined>
  /** True when it was there (and, with `ifMatch`, was that one). */
  delete(name: string, options?: { ifMatch?: string }): Promise<boolean>
  /**
   * All whose names begin with `prefix` and go on without a `/`, in no order. What people put there under names that `get` refuses is
   * listed, except for what begins with a dot.
   */
  list(prefix: string): AsyncIterable<BlobInfo>

  /**
   * The sole right to `name`, a name that is used for nothing else, for `ttlMs`, 15,000 to 60,000; undefined while somebody else has
   * it. Whoever dies with it loses it when the time is over.
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
  /** For another `ttlMs` from now; false when it was lost, and from then on. */
  renew(): Promise<boolean>
  /** Never rejects: what cannot be given back runs out. */
  release(): Promise<void>
}

export const blobLimits = {
  /** Of one blob. */
  bytes: 64 << 20,
  /** Segments of letters, digits, `.`, `_`, `-`, joined by `/`; none begins or ends with a dot. No blob has the name of another one's folder. */
  nameLength: 512,
  segmentLength: 200,
} as const
