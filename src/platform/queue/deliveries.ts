import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import { HeldDelivery } from './held-delivery.ts'
import type { LockedMessage } from './lock.ts'
import type { Delivery, ReceiveOptions } from './queue.ts'

export interface DeliveriesOptions extends ReceiveOptions {
  handler: (delivery: Delivery) => Promise<void>
  clock: Clock
  log: Log
  /** A handler is through, so that there is room for another. */
  onRoom: () => void
}

/** The messages in the hands of one handler, at most `concurrency` at once. */
export class Deliveries {
  readonly #options: DeliveriesOptions
  readonly #held = new Set<HeldDelivery>()
  readonly #waiting: (() => void)[] = []
  #running = 0
  #stopped = false
  #onIdle: (() => void)[] = []

  constructor(options: DeliveriesOptions) {
    this.#options = options
  }

  get room(): number {
    return this.#stopped ? 0 : Math.max(0, this.#options.concurrency - this.#running)
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** Hands the message over, once there is room; resolves when it is out of the handler's hands. Never rejects. */
  async take(locked: LockedMessage): Promise<void> {
    const { clock, concurrency, renewForMs } = this.#options
    const delivery = new HeldDelivery(locked, clock, renewForMs)
    this.#held.add(delivery)
    // Who comes in between takes the place.
    while (this.#running >= concurrency && !this.#stopped) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#running += 1
    await this.#handle(delivery)
    this.#running -= 1
    this.#held.delete(delivery)
    this.#waiting.shift()?.()
    if (this.#held.size === 0) for (const resolve of this.#onIdle.splice(0)) resolve()
    this.#options.onRoom()
  }

  /** Whether each lock is still held; those that are not abort their deliveries. */
  renewAll(): void {
    for (const delivery of this.#held) void delivery.renew()
  }

  /** Nothing more is handed over: what comes goes back. */
  halt(): void {
    this.#stopped = true
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** Resolves when handlers are through, at the latest after `graceMs`. */
  async idle(graceMs: number): Promise<void> {
    if (this.#held.size === 0 || graceMs <= 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onIdle.push(resolve)
    const cancel = this.#options.clock.after(graceMs, resolve)
    await promise
    cancel()
  }

  /** Takes from the handlers what they still hold; nobody waits for them any more. */
  async giveBack(): Promise<void> {
    await Promise.all(Array.from(this.#held, (delivery) => this.#quietly(delivery.giveBack())))
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  async #handle(delivery: HeldDelivery): Promise<void> {
    if (!this.#stopped) {
      try {
        await this.#options.handler(delivery)
      } catch (error) {
        this.#options.log.error({ err: error, messageId: delivery.id }, 'A handler of messages failed')
      }
    }
    await this.#quietly(delivery.end())
  }

  /** What does not get through ends with the lock. */
  async #quietly(work: Promise<void>): Promise<void> {
    try {
      await work
    } catch (error) {
      this.#options.log.debug({ err: error }, 'A message could not be put back')
    }
  }
}
