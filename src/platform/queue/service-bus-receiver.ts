import type { ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import { Deliveries } from './deliveries.ts'
import type { Lock } from './lock.ts'
import type { Delivery, ReceiveOptions, Receiver } from './queue.ts'
import type { ServiceBusConnection } from './service-bus-connection.ts'
import { ServiceBusLink } from './service-bus-link.ts'
import { deliveryCountOf, fromServiceBus } from './service-bus-message.ts'
import type { Session } from './service-bus-session.ts'
import { SettlementTurns } from './settlement-turns.ts'
import { within } from './within.ts'

export interface ReceiverOptions extends ReceiveOptions {
  handler: (delivery: Delivery) => Promise<void>
  connection: ServiceBusConnection
  queue: string
  clock: Clock
  log: Log
  /** How often a receiver that gets nothing asks whether there is nothing, ms. */
  watchMs: number
  onStopped: () => void
}

const firstDelayMs = 50
const maxDelayMs = 5000
/** A link that holds so long counts as a good one. */
const goodMs = 10_000
const closeMs = 2000
const peeked = 100
/** Clocks differ: a lock that has just been given is not lost yet. */
const leastLockMs = 1000

/** Links to the queue, one after the other, for one handler: replaced when broken, worn, or silent though there is work. */
export class ServiceBusReceiving implements Receiver {
  readonly #options: ReceiverOptions
  readonly #deliveries: Deliveries
  readonly #turns = new SettlementTurns()
  readonly #heldIds = new Set<string>()
  readonly #ending = new Map<ServiceBusLink, Promise<void>>()
  #session: Session | undefined
  #link: ServiceBusLink | undefined
  #openedAt = 0
  #faults = 0
  #cancelOpening: (() => void) | undefined
  #cancelWatch: (() => void) | undefined
  #deliveredBefore = 0

  constructor(options: ReceiverOptions) {
    this.#options = options
    const { handler, concurrency, renewForMs, clock, log } = options
    this.#deliveries = new Deliveries({ handler, concurrency, renewForMs, clock, log, onRoom: () => {} })
  }

  up(session: Session): void {
    if (this.#deliveries.stopped) return
    this.#session = session
    this.#open(session)
    // The broker may have given to others what was held when it went away.
    this.#deliveries.renewAll()
    this.#watchLater()
  }

  down(): void {
    this.#session = undefined
    this.#leave('broken')
  }

  /** To another session; resolves when all that came through the one before is out of our hands. */
  async move(session: Session): Promise<void> {
    if (this.#deliveries.stopped) return
    this.#session = session
    this.#replace()
    await Promise.all(this.#ending.values())
  }

  async stop(graceMs: number): Promise<void> {
    const { clock, onStopped } = this.#options
    this.#session = undefined
    this.#deliveries.halt()
    this.#leave()
    const links = [...this.#ending.keys()]
    // What goes back before a link is quiet would come again through it.
    const quiet = within(clock, closeMs, Promise.all(links.map((link) => link.quiet))).catch(() => {})
    await Promise.all([this.#deliveries.idle(graceMs), quiet])
    await this.#deliveries.giveBack()
    for (const link of links) link.letGo()
    await within(clock, closeMs, Promise.all(this.#ending.values())).catch(() => {})
    onStopped()
  }

  #open(session: Session): void {
    const { queue, concurrency, clock } = this.#options
    this.#cancelOpening?.()
    const link: ServiceBusLink = new ServiceBusLink({
      ...{ session, queue, concurrency, clock },
      onMessage: (message) => this.#take(message),
      onFault: (error) => this.#broken(link, error),
    })
    this.#link = link
    this.#openedAt = clock.monotonic()
    this.#deliveredBefore = 0
  }

  /** Hands back the link, which ends by itself once its messages are settled. */
  #leave(how: 'whole' | 'broken' = 'whole'): void {
    this.#cancelOpening?.()
    this.#cancelWatch?.()
    const link = this.#link
    this.#link = undefined
    if (!link) return
    const ending = link.end(how).catch((error) => this.#options.log.debug({ err: error }, 'A link did not close'))
    this.#ending.set(link, ending)
    void ending.finally(() => this.#ending.delete(link))
  }

  #broken(link: ServiceBusLink, error: unknown): void {
    if (link !== this.#link) return
    const { clock, log, connection } = this.#options
    log.warn({ err: error }, 'A link to the queue broke')
    this.#faults = clock.monotonic() - this.#openedAt > goodMs ? 0 : this.#faults + 1
    this.#leave('broken')
    connection.doubt()
    this.#deliveries.renewAll()
    const delayMs = Math.random() * Math.min(maxDelayMs, firstDelayMs * 2 ** this.#faults)
    this.#cancelOpening = clock.after(delayMs, () => this.#again())
  }

  #again(): void {
    if (!this.#session) return
    this.#open(this.#session)
    this.#watchLater()
  }

  async #take(message: ServiceBusReceivedMessage): Promise<void> {
    const id = String(message.messageId)
    this.#heldIds.add(id)
    await this.#deliveries.take({
      message: fromServiceBus(message),
      deliveryCount: deliveryCountOf(message),
      lockedUntil: this.#lockEnd(message.lockedUntilUtc),
      lock: this.#lockOf(message),
    })
    this.#heldIds.delete(id)
    if (this.#link?.worn) this.#replace()
  }

  #lockOf(message: ServiceBusReceivedMessage): Lock {
    const { connection } = this.#options
    const settle = (kind: string, act: (receiver: ServiceBusReceiver) => Promise<void>) =>
      this.#turns.run(kind, () => connection.run(({ receiver }) => act(receiver)))
    return {
      complete: () => settle('complete', (receiver) => receiver.completeMessage(message)),
      abandon: () => settle('abandon', (receiver) => receiver.abandonMessage(message)),
      deadLetter: (reason, description) =>
        settle(`dead-letter ${reason} ${description}`, (receiver) =>
          receiver.deadLetterMessage(message, { deadLetterReason: reason, deadLetterErrorDescription: description }),
        ),
      renew: async () => this.#lockEnd(await connection.run(({ receiver }) => receiver.renewMessageLock(message))),
    }
  }

  #lockEnd(until: Date | undefined): number {
    return Math.max(until?.getTime() ?? 0, this.#options.clock.now() + leastLockMs)
  }

  #replace(): void {
    const session = this.#session
    this.#leave()
    if (!session) return
    this.#open(session)
    this.#watchLater()
  }

  #watchLater(): void {
    this.#cancelWatch?.()
    this.#cancelWatch = this.#options.clock.after(this.#options.watchMs, () => void this.#watch())
  }

  async #watch(): Promise<void> {
    const link = this.#link
    if (!link) return
    const silent = link.delivered === this.#deliveredBefore && this.#deliveries.room > 0
    this.#deliveredBefore = link.delivered
    const stalled = silent && (await this.#hasWork())
    if (link !== this.#link) return
    if (stalled) {
      this.#options.log.warn('There are messages, but none come')
      this.#replace()
    } else {
      this.#watchLater()
    }
  }

  /** Whether messages have waited for long that we do not hold. Others may: then a new link does no harm. */
  async #hasWork(): Promise<boolean> {
    const { connection, clock, watchMs } = this.#options
    try {
      const { default: Long } = await import('long')
      const oldest = await connection.run(({ receiver }) =>
        receiver.peekMessages(peeked, { fromSequenceNumber: Long.ZERO }),
      )
      const before = clock.now() - watchMs
      return oldest.some(({ messageId, state, enqueuedTimeUtc }) => {
        const waited = state === 'active' && (enqueuedTimeUtc?.getTime() ?? 0) <= before
        return waited && !this.#heldIds.has(String(messageId))
      })
    } catch {
      // The connection has learned of it, too.
      return false
    }
  }
}
