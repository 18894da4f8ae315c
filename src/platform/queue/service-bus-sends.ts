import type { ServiceBusMessageBatch } from '@azure/service-bus'
import { unavailable } from './limits.ts'
import type { QueueMessage } from './queue.ts'
import type { ServiceBusConnection } from './service-bus-connection.ts'
import { toServiceBus } from './service-bus-message.ts'

/** Whoever waits for some messages to be kept. */
interface Waiting {
  left: number
  resolve: () => void
  reject: (error: unknown) => void
}

interface Item {
  message: QueueMessage
  waiting: Waiting
}

/** While so many batches are on their way, what comes gathers for the next. */
const batchesAtOnce = 4
const messagesPerBatch = 500
const mostWaiting = 20_000

/** What is sent within one tick, or while batches are on their way, leaves together. */
export class ServiceBusSends {
  readonly #connection: ServiceBusConnection
  #items: Item[] = []
  #underWay = 0
  #scheduled = false

  constructor(connection: ServiceBusConnection) {
    this.#connection = connection
  }

  send(messages: readonly QueueMessage[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (messages.length === 0) return resolve()
      if (!this.#connection.reachable) return reject(unavailable('out of reach'))
      if (this.#items.length + messages.length > mostWaiting) return reject(unavailable('too many messages wait'))
      const waiting = { left: messages.length, resolve, reject }
      for (const message of messages) this.#items.push({ message, waiting })
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (this.#underWay < batchesAtOnce && this.#items.length > 0) void this.#sendSome()
    })
  }

  async #sendSome(): Promise<void> {
    this.#underWay += 1
    try {
      // A link that has just been dropped fails the first; nothing has left yet.
      const batch = await this.#newBatch().catch(() => this.#newBatch())
      await this.#sendBatch(batch)
    } catch (error) {
      // Without a batch there is nowhere to send what waits.
      for (const { waiting } of this.#items.splice(0)) waiting.reject(error)
    }
    this.#underWay -= 1
    if (this.#items.length > 0) this.#schedule()
  }

  #newBatch(): Promise<ServiceBusMessageBatch> {
    return this.#connection.run(({ sender }) => sender.createMessageBatch())
  }

  /** Never rejects: who waits for a message of the batch learns of its fault. */
  async #sendBatch(batch: ServiceBusMessageBatch): Promise<void> {
    const taken = this.#fill(batch)
    // One more batch may start at once: the link takes several.
    if (this.#items.length > 0) this.#schedule()
    if (batch.count === 0) return
    try {
      await this.#connection.run(({ sender }) => sender.sendMessages(batch))
      for (const { waiting } of taken) {
        waiting.left -= 1
        if (waiting.left === 0) waiting.resolve()
      }
    } catch (error) {
      for (const { waiting } of taken) waiting.reject(error)
    }
  }

  #fill(batch: ServiceBusMessageBatch): Item[] {
    for (const { message, waiting } of this.#items) {
      if (batch.count === messagesPerBatch) break
      if (batch.tryAddMessage(toServiceBus(message))) continue
      if (batch.count > 0) break
      this.#items.shift()
      waiting.reject(new RangeError('A message is larger than the broker takes'))
      break
    }
    return this.#items.splice(0, batch.count)
  }
}
