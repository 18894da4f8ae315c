import type { Log } from '#log.ts'
import { type Clock, waitPatiently } from '../clock.ts'
import * as limits from './limits.ts'
import type { DeadLetter, Delivery, Queue, QueueMessage, ReceiveOptions, Receiver, ScheduledHandle } from './queue.ts'
import { ServiceBusConnection } from './service-bus-connection.ts'
import { ServiceBusDeadLetters } from './service-bus-dead-letters.ts'
import { ServiceBusReceiving } from './service-bus-receiver.ts'
import { cancelMessages, scheduleMessages } from './service-bus-schedule.ts'
import { ServiceBusSends } from './service-bus-sends.ts'
import type { Address, Session } from './service-bus-session.ts'

export interface ServiceBusQueueOptions {
  address: Address
  clock: Clock
  log: Log
  /** The broker does not take the credential. */
  onUnauthorized?: (() => void) | undefined
  /** An operation that takes longer has failed, ms. */
  operationTimeoutMs?: number
  /** How often a receiver that gets nothing asks whether there is nothing, ms. */
  watchMs?: number
}

/** Azure Service Bus: one queue of a namespace, set up with duplicate detection over 10 minutes and at most 10 deliveries. */
export class ServiceBusQueue implements Queue {
  readonly engine = 'service-bus'
  readonly #options: ServiceBusQueueOptions
  readonly #connection: ServiceBusConnection
  readonly #sends: ServiceBusSends
  readonly #deadLetters: ServiceBusDeadLetters
  readonly #receivers = new Set<ServiceBusReceiving>()
  readonly #firstUp = Promise.withResolvers<void>()
  #session: Session | undefined
  #closing: Promise<void> | undefined

  constructor(options: ServiceBusQueueOptions) {
    this.#options = options
    const { address, clock, log, onUnauthorized, operationTimeoutMs = 5000 } = options
    this.#connection = new ServiceBusConnection({
      ...{ address, clock, log, onUnauthorized, operationTimeoutMs },
      onUp: (session) => this.#up(session),
      onDown: () => this.#down(),
      onRenewed: (session) => this.#renewed(session),
    })
    this.#sends = new ServiceBusSends(this.#connection)
    this.#deadLetters = new ServiceBusDeadLetters(this.#connection, address.queue, clock)
  }

  get reachable(): boolean {
    return this.#connection.reachable
  }

  /** Begins to connect; resolves when connected, or after `patienceMs` without, or when the signal aborts. */
  async connect(patienceMs: number, signal?: AbortSignal): Promise<void> {
    void this.#connection.connect()
    await waitPatiently(this.#options.clock, this.#firstUp.promise, patienceMs, signal)
  }

  /** Signs in with the credential of now; what is held goes on being held. */
  renew(): Promise<void> {
    return this.#connection.renew()
  }

  async send(messages: readonly QueueMessage[]): Promise<void> {
    limits.checkMessages(messages)
    await this.#sends.send(messages)
  }

  async schedule(messages: readonly QueueMessage[], at: number): Promise<ScheduledHandle[]> {
    limits.checkMessages(messages)
    limits.checkTime(at)
    return scheduleMessages(this.#connection, messages, at)
  }

  async cancel(handles: readonly ScheduledHandle[]): Promise<void> {
    await cancelMessages(this.#connection, handles)
  }

  receive(handler: (delivery: Delivery) => Promise<void>, options: ReceiveOptions): Receiver {
    limits.checkReceiving(options)
    if (this.#closing) throw limits.unavailable('closed')
    const { concurrency, renewForMs } = options
    const { address, clock, log, watchMs = 30_000 } = this.#options
    const receiving: ServiceBusReceiving = new ServiceBusReceiving({
      ...{ handler, concurrency, renewForMs, clock, log, watchMs },
      ...{ connection: this.#connection, queue: address.queue },
      onStopped: () => this.#receivers.delete(receiving),
    })
    this.#receivers.add(receiving)
    if (this.#session) receiving.up(this.#session)
    return receiving
  }

  async deadLetters(limit: number, skip = 0): Promise<DeadLetter[]> {
    limits.checkDeadLetterPage(limit, skip)
    return this.#deadLetters.list(limit, skip)
  }

  async removeDeadLetters(ids: readonly string[]): Promise<boolean[]> {
    limits.checkDeadLetterIds(ids)
    return this.#deadLetters.remove(ids)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.all(Array.from(this.#receivers, (receiving) => receiving.stop(0)))
    await this.#connection.close()
  }

  #up(session: Session): void {
    this.#session = session
    this.#firstUp.resolve()
    for (const receiving of this.#receivers) receiving.up(session)
  }

  async #renewed(session: Session): Promise<void> {
    this.#session = session
    await Promise.all(Array.from(this.#receivers, (receiving) => receiving.move(session)))
  }

  #down(): void {
    this.#session = undefined
    for (const receiving of this.#receivers) receiving.down()
  }
}
