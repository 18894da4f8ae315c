import { randomUUID } from 'node:crypto'
import type { ContainerClient } from '@azure/storage-blob'
import type { Log } from '#log.ts'
import { type Clock, waitAtMost } from '../clock.ts'
import { type AzureAccount, serviceOf } from './azure-client.ts'
import { blobFault, isConditionLost, isLeaseLost, isMissingBlob, statusOf } from './azure-fault.ts'
import { type Blob, type BlobCondition, type BlobInfo, type BlobStore, blobLimits, type Lease } from './blob.ts'
import { checkBytes, checkLeaseTime, checkMaxBytes, checkName, leaseHeld, splitPrefix, unavailable } from './limits.ts'

export interface AzureBlobStoreOptions {
  account: AzureAccount
  container: string
  clock: Clock
  log: Log
  /** The account does not take the credential. */
  onUnauthorized?: (() => void) | undefined
  /** A call that gets nowhere for so long has failed, ms. */
  operationTimeoutMs?: number
  /** Of a page of a listing. */
  pageSize?: number
}

/** What a line is taken to carry at least, when the patience with a large body is reckoned. */
const bytesPerMs = 1000
const readTries = 3

/**
 * One container of Azure Blob Storage, made where it is missing. Reads are tried again when they fail at once; writes are not, since
 * the second try of one that got through would be refused for what the first has done.
 */
export class AzureBlobStore implements BlobStore {
  readonly engine = 'azure'
  readonly #options: AzureBlobStoreOptions & { operationTimeoutMs: number; pageSize: number }
  #clients: { connectionString: string | undefined; reads: ContainerClient; writes: ContainerClient }
  readonly #closing = new AbortController()
  #reachable = true
  #making: Promise<void> | undefined
  #isMade = false

  constructor(options: AzureBlobStoreOptions) {
    this.#options = { operationTimeoutMs: 5000, pageSize: 1000, ...options }
    this.#clients = this.#makeClients()
  }

  get reachable(): boolean {
    return this.#reachable
  }

  /** Makes the container where it is missing; resolves as well when that cannot be done now, and the first call will do it. */
  async connect(): Promise<void> {
    await this.#run(0, async () => {}).catch(() => {})
  }

  async get(
    name: string,
    { ifNot, maxBytes = blobLimits.bytes }: { ifNot?: string; maxBytes?: number } = {},
  ): Promise<Blob | 'unchanged' | undefined> {
    checkName(name)
    checkMaxBytes(maxBytes)
    return this.#run(0, async (abortSignal, hasMoved) => {
      const client = this.#reads.getBlobClient(name)
      const conditions = ifNot === undefined ? {} : { ifNoneMatch: quoted(ifNot) }
      try {
        const found = await client.download(0, maxBytes, { abortSignal, conditions })
        const chunks: Buffer[] = []
        for await (const chunk of found.readableStreamBody ?? []) {
          hasMoved()
          chunks.push(Buffer.from(chunk))
        }
        const bytes = Buffer.concat(chunks)
        const size = Number(found.contentRange?.split('/')[1] ?? bytes.length)
        return { name, etag: bare(found.etag), size, modifiedAt: timeOf(found.lastModified), bytes }
      } catch (error) {
        if (statusOf(error) === 304) return 'unchanged'
        if (isMissingBlob(error)) return undefined
        if (statusOf(error) !== 416) throw error
      }
      // An empty blob has no range.
      try {
        const { etag, lastModified } = await client.getProperties({ abortSignal })
        return { name, etag: bare(etag), size: 0, modifiedAt: timeOf(lastModified), bytes: Buffer.alloc(0) }
      } catch (error) {
        if (isMissingBlob(error)) return undefined
        throw error
      }
    })
  }

  async put(name: string, bytes: Uint8Array, condition?: BlobCondition): Promise<{ etag: string } | undefined> {
    checkName(name)
    checkBytes(bytes)
    return this.#run(bytes.length, async (abortSignal) => {
      try {
        const conditions = conditionsOf(condition)
        const client = this.#writes.getBlockBlobClient(name)
        const { etag } = await client.upload(Buffer.from(bytes), bytes.length, { abortSignal, conditions })
        return { etag: bare(etag) }
      } catch (error) {
        if (condition && (isConditionLost(error) || isMissingBlob(error))) return undefined
        throw error
      }
    })
  }

  async delete(name: string, { ifMatch }: { ifMatch?: string } = {}): Promise<boolean> {
    checkName(name)
    return this.#run(0, async (abortSignal) => {
      try {
        const conditions = ifMatch === undefined ? {} : { ifMatch: quoted(ifMatch) }
        await this.#writes.getBlobClient(name).delete({ abortSignal, conditions, deleteSnapshots: 'include' })
        return true
      } catch (error) {
        if (isMissingBlob(error) || (ifMatch !== undefined && isConditionLost(error))) return false
        throw error
      }
    })
  }

  async *list(prefix: string): AsyncIterable<BlobInfo> {
    const { folder } = splitPrefix(prefix)
    const within = folder === '' ? 0 : folder.length + 1
    const { pageSize: maxPageSize } = this.#options
    let continuationToken: string | undefined
    do {
      const page = await this.#run(0, async (abortSignal) => {
        const settings = { maxPageSize, ...(continuationToken && { continuationToken }) }
        const pages = this.#reads.listBlobsByHierarchy('/', { prefix, abortSignal }).byPage(settings)
        return (await pages.next()).value
      })
      for (const { name, properties } of page?.segment.blobItems ?? []) {
        if (name.startsWith('.', within)) continue
        const { etag, contentLength = 0, lastModified } = properties
        yield { name, etag: bare(etag), size: contentLength, modifiedAt: timeOf(lastModified) }
      }
      continuationToken = page?.continuationToken
    } while (continuationToken)
  }

  async lease(name: string, ttlMs: number): Promise<Lease | undefined> {
    checkName(name)
    checkLeaseTime(ttlMs)
    const { clock } = this.#options
    const askedAt = clock.monotonic()
    // Named by us, so that an answer that gets lost leaves no lease that nobody knows.
    const leases = this.#writes.getBlobClient(name).getBlobLeaseClient(randomUUID())
    const asked = (ask: (abortSignal: AbortSignal) => Promise<unknown>) =>
      this.#run(0, async (abortSignal) => {
        try {
          await ask(abortSignal)
          return true
        } catch (error) {
          if (isLeaseLost(error) || isMissingBlob(error)) return false
          throw error
        }
      })
    const acquire = (abortSignal: AbortSignal) => leases.acquireLease(Math.ceil(ttlMs / 1000), { abortSignal })
    const isTaken =
      (await asked(acquire)) || ((await this.put(name, Buffer.alloc(0), { absent: true })) && (await asked(acquire)))
    if (!isTaken) return undefined
    return leaseHeld({
      ...{ clock, ttlMs, askedAt },
      renew: () => asked((abortSignal) => leases.renewLease({ abortSignal })),
      release: async () => void (await asked((abortSignal) => leases.releaseLease({ abortSignal }))),
    })
  }

  async close(): Promise<void> {
    this.#closing.abort()
  }

  /** `hasMoved` starts the time limit anew, for what takes long but gets on. */
  async #run<Result>(
    bytes: number,
    work: (signal: AbortSignal, hasMoved: () => void) => Promise<Result>,
  ): Promise<Result> {
    if (this.#closing.signal.aborted) throw unavailable('The blob store is closed.')
    const { clock, operationTimeoutMs } = this.#options
    const late = new AbortController()
    const limitMs = operationTimeoutMs + bytes / bytesPerMs
    let stop = waitAtMost(clock, limitMs, () => late.abort())
    const hasMoved = () => {
      stop()
      stop = waitAtMost(clock, limitMs, () => late.abort())
    }
    const signal = AbortSignal.any([late.signal, this.#closing.signal])
    // A token that is slow to come knows nothing of the signal.
    const aborted = Promise.withResolvers<never>()
    const giveUp = () => aborted.reject(signal.reason)
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      this.#making ??= this.#make(signal)
      const result = await Promise.race([this.#making.then(() => work(signal, hasMoved)), aborted.promise])
      this.#found(undefined)
      return result
    } catch (error) {
      const fault = late.signal.aborted
        ? unavailable('Blob Storage is out of reach (no answer in time).')
        : blobFault(error)
      if (statusOf(error) === 401 || statusOf(error) === 403) this.#options.onUnauthorized?.()
      this.#found(fault)
      // The next call tries anew, rather than to wait for what may never be answered.
      if (!this.#isMade) this.#making = undefined
      throw fault
    } finally {
      stop()
      signal.removeEventListener('abort', giveUp)
    }
  }

  get #reads(): ContainerClient {
    return this.#present().reads
  }

  get #writes(): ContainerClient {
    return this.#present().writes
  }

  /** The client signs with what it was made with. */
  #present() {
    const { connectionString } = this.#options.account
    if (connectionString !== this.#clients.connectionString) this.#clients = this.#makeClients()
    return this.#clients
  }

  #makeClients() {
    const { account, container } = this.#options
    const clientOf = (maxTries: number) => serviceOf(account, maxTries).getContainerClient(container)
    return { connectionString: account.connectionString, reads: clientOf(readTries), writes: clientOf(1) }
  }

  /** Once; without the right to make it, it is taken to be there. */
  async #make(abortSignal: AbortSignal): Promise<void> {
    try {
      await this.#reads.createIfNotExists({ abortSignal })
    } catch (error) {
      if (statusOf(error) !== 403) throw error
    }
    this.#isMade = true
  }

  #found(fault: unknown): void {
    const { log, container } = this.#options
    if (this.#reachable === (fault === undefined)) return
    this.#reachable = fault === undefined
    if (this.#reachable) log.info({ container }, 'Blob Storage is within reach')
    else log.warn({ container, err: fault }, 'Blob Storage is out of reach')
  }
}

function conditionsOf(condition: BlobCondition | undefined): { ifMatch?: string; ifNoneMatch?: string } {
  if (condition === undefined) return {}
  return 'absent' in condition ? { ifNoneMatch: '*' } : { ifMatch: quoted(condition.ifMatch) }
}

/** Headers have an etag in quotes, listings have it without. */
function bare(etag: string | undefined): string {
  return (etag ?? '').replace(/^"|"$/g, '')
}

function quoted(etag: string): string {
  return `"${etag}"`
}

function timeOf(date: Date | undefined): number {
  return date?.getTime() ?? 0
}
