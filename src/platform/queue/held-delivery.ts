import type { Clock } from '../clock.ts'
import { checkReason } from './limits.ts'
import type { Lock, LockedMessage } from './lock.ts'
import { type Delivery, LockLostError } from './queue.ts'

/** After a renewal that did not get through. */
const renewAgainMs = 1000

/**
 * A message in the hands of a handler.
 *
 *     held ── settle ──▶ settling ── done ──▶ settled
 *      ▲                  │  │
 *      └── not reachable ─┘  └── lock lost ──▶ lost
 *     held ── renewal refused, lock ran out, given back ──▶ lost
 */
export class HeldDelivery implements Delivery {
  readonly id: string
  readonly body: string
  readonly traceparent?: string
  readonly deliveryCount: number
  readonly #clock: Clock
  readonly #lock: Lock
  readonly #renewUntil: number
  #lockedUntil: number
  #state: 'held' | 'settling' | 'settled' | 'lost' = 'held'
  #settling: Promise<void> = Promise.resolve()
  #aborter: AbortController | undefined
  #cancelTimer: (() => void) | undefined

  constructor({ message, deliveryCount, lockedUntil, lock }: LockedMessage, clock: Clock, renewForMs: number) {
    this.id = message.id
    this.body = message.body
    if (message.traceparent !== undefined) this.traceparent = message.traceparent
    this.deliveryCount = deliveryCount
    this.#clock = clock
    this.#lock = lock
    this.#lockedUntil = lockedUntil
    this.#renewUntil = clock.now() + renewForMs
    this.#watch()
  }

  get signal(): AbortSignal {
    if (!this.#aborter) {
      this.#aborter = new AbortController()
      if (this.#state === 'lost') this.#aborter.abort(new LockLostError())
    }
    return this.#aborter.signal
  }

  complete(): Promise<void> {
    return this.#settle(() => this.#lock.complete())
  }

  abandon(): Promise<void> {
    return this.#settle(() => this.#lock.abandon())
  }

  async deadLetter(reason: string, description: string): Promise<void> {
    checkReason(reason, description)
    await this.#settle(() => this.#lock.deadLetter(reason, description))
  }

  /** For the end of a handler: waits until nothing settles; then, what is still held goes back. */
  async end(): Promise<void> {
    while (this.#state === 'settling') await this.#settling.catch(() => {})
    if (this.#state !== 'held') return
    try {
      await this.#settle(() => this.#lock.abandon())
    } finally {
      this.#lose()
    }
  }

  /** Takes the message away from its handler and puts it back; waits as well, as one that failed is followed by another. */
  async giveBack(): Promise<void> {
    while (this.#state === 'settling') await this.#settling.catch(() => {})
    if (this.#state !== 'held') return
    this.#lose()
    await this.#lock.abandon()
  }

  /** Asks whether the lock is still held, by renewing it. */
  async renew(): Promise<void> {
    if (this.#state !== 'held') return
    this.#cancelTimer?.()
    let failed = false
    try {
      this.#lockedUntil = await this.#lock.renew()
    } catch (error) {
      if (error instanceof LockLostError) {
        // One that is settled meanwhile has no lock left to renew, and has not lost it.
        if (this.#state === 'held') this.#lose(error)
        return
      }
      failed = true
    }
    if (this.#state === 'held') this.#watch(failed)
  }

  async #settle(act: () => Promise<void>): Promise<void> {
    if (this.#state !== 'held') throw new LockLostError()
    this.#state = 'settling'
    this.#settling = act()
    try {
      await this.#settling
    } catch (error) {
      if (error instanceof LockLostError) {
        this.#lose(error)
      } else {
        this.#state = 'held'
        this.#watch()
      }
      throw error
    }
    this.#state = 'settled'
    this.#cancelTimer?.()
  }

  #watch(failed = false): void {
    this.#cancelTimer?.()
    const now = this.#clock.now()
    const leftMs = this.#lockedUntil - now
    if (leftMs <= 0) return this.#lose()
    const renewing = now < this.#renewUntil
    const waitMs = renewing ? Math.min(leftMs, failed ? renewAgainMs : leftMs / 2) : leftMs
    this.#cancelTimer = this.#clock.after(waitMs, () => this.#due())
  }

  #due(): void {
    // Whether a settlement under way still counts is for the broker to say.
    if (this.#state !== 'held') return
    const now = this.#clock.now()
    if (now >= this.#lockedUntil) this.#lose()
    else if (now < this.#renewUntil) void this.renew()
    else this.#watch()
  }

  #lose(cause?: unknown): void {
    if (this.#state === 'settled' || this.#state === 'lost') return
    this.#state = 'lost'
    this.#cancelTimer?.()
    this.#aborter?.abort(cause ?? new LockLostError())
  }
}
