import type { ServiceBusReceivedMessage, ServiceBusReceiver } from '@azure/service-bus'
import { type Clock, delay } from '../clock.ts'
import type { DeadLetter } from './queue.ts'
import type { ServiceBusConnection } from './service-bus-connection.ts'
import { toDeadLetter } from './service-bus-message.ts'
import { receiverOptions } from './service-bus-session.ts'

const pageSize = 250
/** A session of the client holds 2048 messages that are not settled, and stalls. */
const heldPerLink = 1000
const waitMs = 1000
/** Somebody else who removes dead letters holds some of ours for a moment. */
const rounds = 3
const againMs = 250

/** The dead letters of a queue. They can only be looked at in order, and taken only from the front. */
export class ServiceBusDeadLetters {
  readonly #connection: ServiceBusConnection
  readonly #queue: string
  readonly #clock: Clock
  #last: Promise<unknown> = Promise.resolve()

  constructor(connection: ServiceBusConnection, queue: string, clock: Clock) {
    this.#connection = connection
    this.#queue = queue
    this.#clock = clock
  }

  async list(limit: number, skip: number): Promise<DeadLetter[]> {
    const found: DeadLetter[] = []
    let left = skip
    for await (const page of this.#pages(skip === 0 ? limit : pageSize)) {
      found.push(...page.slice(left).map(toDeadLetter))
      left = Math.max(0, left - page.length)
      if (found.length >= limit) break
    }
    return found.slice(0, limit)
  }

  /** One after the other: two of ours would hold each other's messages. */
  remove(ids: readonly string[]): Promise<boolean[]> {
    const removal = this.#last.then(() => this.#remove(ids))
    this.#last = removal.catch(() => {})
    return removal
  }

  async #remove(ids: readonly string[]): Promise<boolean[]> {
    const removed = new Set<string>()
    for (let round = 0; round < rounds; round++) {
      const wanted = new Set(ids.filter((id) => !removed.has(id)))
      const depth = await this.#depthOf(wanted)
      if (depth === 0) break
      if (round > 0) await delay(this.#clock, againMs * (0.5 + Math.random()))
      await this.#takeFrom(depth, wanted, removed)
    }
    return ids.map((id) => removed.has(id))
  }

  /** How many lie before and at the last one that is wanted; 0 when none is there. */
  async #depthOf(wanted: ReadonlySet<string>): Promise<number> {
    const missing = new Set(wanted)
    let depth = 0
    let passed = 0
    if (missing.size === 0) return depth
    for await (const page of this.#pages(pageSize)) {
      for (const { messageId } of page) {
        passed += 1
        if (!wanted.has(String(messageId))) continue
        depth = passed
        missing.delete(String(messageId))
      }
      if (missing.size === 0) break
    }
    return depth
  }

  /** Holds all up to `depth`, completes those wanted, and puts the others back. */
  async #takeFrom(depth: number, wanted: ReadonlySet<string>, removed: Set<string>): Promise<void> {
    const receivers: ServiceBusReceiver[] = []
    const others: ServiceBusReceivedMessage[] = []
    try {
      for (let left = depth; left > 0; ) {
        const messages = await this.#receive(Math.min(left, heldPerLink), receivers)
        if (messages.length === 0) break
        left -= messages.length
        others.push(...messages.filter(({ messageId }) => !wanted.has(String(messageId))))
        await Promise.all(
          messages.map(async (message) => {
            if (!wanted.has(String(message.messageId))) return
            await this.#connection.run(({ deadLetters }) => deadLetters.completeMessage(message))
            removed.add(String(message.messageId))
          }),
        )
      }
    } finally {
      const back = others.map((message) =>
        this.#connection.run(({ deadLetters }) => deadLetters.abandonMessage(message)),
      )
      await Promise.allSettled(back)
      await Promise.allSettled(receivers.map((receiver) => receiver.close()))
    }
  }

  #receive(count: number, receivers: ServiceBusReceiver[]): Promise<ServiceBusReceivedMessage[]> {
    return this.#connection.run(({ client }) => {
      const receiver = client.createReceiver(this.#queue, { ...receiverOptions, subQueueType: 'deadLetter' })
      receivers.push(receiver)
      return receiver.receiveMessages(count, { maxWaitTimeInMs: waitMs })
    })
  }

  async *#pages(size: number): AsyncGenerator<ServiceBusReceivedMessage[]> {
    const { default: Long } = await import('long')
    let fromSequenceNumber = Long.ZERO
    for (;;) {
      const page = await this.#connection.run(({ deadLetters }) =>
        deadLetters.peekMessages(size, { fromSequenceNumber }),
      )
      const last = page.at(-1)?.sequenceNumber
      if (!last) return
      yield page
      fromSequenceNumber = last.add(1)
    }
  }
}
