import type { BlobStore, Lease } from '#platform/blob/blob.ts'
import type { Clock } from '#platform/clock.ts'

const NAME = 'leader'
/** A leader that died is followed by another after this and one more look. */
const TTL_MS = 20_000
const RENEW_MS = 5000

/**
 * Which replica advances. It only saves double work: what is right is decided by `If-Match` on the state, so a leader that has
 * lost its lease without knowing does no harm.
 */
export class Leadership {
  readonly #blobs: BlobStore
  readonly #clock: Clock
  #lease: Lease | undefined
  #askedAtMs = Number.NEGATIVE_INFINITY

  constructor({ blobs, clock }: { blobs: BlobStore; clock: Clock }) {
    this.#blobs = blobs
    this.#clock = clock
  }

  get held(): boolean {
    return this.#lease !== undefined
  }

  /** Takes or renews it when it is time to. Never rejects: with the store away nobody leads. */
  async keep(): Promise<boolean> {
    const now = this.#clock.monotonic()
    if (now - this.#askedAtMs < RENEW_MS) return this.held
    this.#askedAtMs = now
    try {
      if (this.#lease && !(await this.#lease.renew())) this.#lease = undefined
      this.#lease ??= await this.#blobs.lease(NAME, TTL_MS)
    } catch {
      this.#lease = undefined
    }
    return this.held
  }

  async close(): Promise<void> {
    await this.#lease?.release()
    this.#lease = undefined
  }
}
