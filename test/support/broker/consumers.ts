import type { Delivery, EventContext, Sender } from 'rhea'
import { SettlementTurns } from '#platform/queue/settlement-turns.ts'
import type { BrokerQueue } from './broker-queue.ts'
import type { Answers, Faults } from './faults.ts'
import { toDeliveryTag } from './lock-token.ts'
import { answerSettlement } from './outcomes.ts'
import { encodeStored } from './stored-message.ts'

interface Consumer {
  link: Sender
  attached: number
  /** Deliveries on this link that nobody has settled: delivery id → lock token. */
  tokens: Map<number, string>
}

const messageFormat = 0

/** The links through which one queue is consumed. */
export class Consumers {
  readonly #queue: BrokerQueue
  readonly #faults: Faults
  readonly #answers: Answers
  readonly #count: (operation: 'deliveries' | 'settlements') => void
  #consumers: Consumer[] = []
  readonly #turns = new SettlementTurns()
  #next = 0
  #pumping = false

  constructor(
    queue: BrokerQueue,
    faults: Faults,
    answers: Answers,
    count: (operation: 'deliveries' | 'settlements') => void,
  ) {
    this.#queue = queue
    this.#faults = faults
    this.#answers = answers
    this.#count = count
  }

  attach(link: Sender, attached: number): void {
    const consumer: Consumer = { link, attached, tokens: new Map() }
    this.#consumers.push(consumer)
    const pump = () => this.pump()
    link.on('sendable', pump)
    link.on('sender_flow', pump)
    link.on('sender_draining', () => {
      this.#deliver()
      link.set_drained(true)
    })
    const settles = (outcome: string, apply: (token: string, delivery: Delivery) => boolean) =>
      link.on(outcome, ({ delivery }: EventContext) => delivery && this.#settled(consumer, delivery, apply))
    settles('accepted', (token) => this.#queue.complete(token))
    settles('released', (token) => this.#queue.release(token))
    settles('modified', (token) => this.#queue.release(token))
    settles('rejected', (token, { remote_state: state }) => {
      const { DeadLetterReason: reason, DeadLetterErrorDescription: description } = state?.error?.info ?? {}
      return this.#queue.reject(token, String(reason), String(description))
    })
    link.on('sender_close', () => this.forget(link))
  }

  /** What it held stays locked until the lock runs out. */
  forget(link: Sender): void {
    this.#consumers = this.#consumers.filter((consumer) => consumer.link !== link)
  }

  pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    setImmediate(() => {
      this.#pumping = false
      this.#deliver()
    })
  }

  #deliver(): void {
    for (let consumer = this.#choose(); consumer; consumer = this.#choose()) {
      const lease = this.#queue.lock()
      if (!lease) return
      this.#count('deliveries')
      const { link, tokens } = consumer
      const tag = toDeliveryTag(Buffer.from(lease.token, 'hex'))
      const delivery = link.send(encodeStored(lease.stored, 'active', lease.lockedUntil), tag, messageFormat)
      // Credit is only taken when the frame is written, at the end of the tick.
      tokens.set(delivery.id, lease.token)
    }
  }

  #choose(): Consumer | undefined {
    for (let tried = 0; tried < this.#consumers.length; tried++) {
      this.#next = (this.#next + 1) % this.#consumers.length
      const consumer = this.#consumers[this.#next]
      if (consumer && this.#canTake(consumer)) return consumer
    }
    return undefined
  }

  #canTake({ link, attached }: Consumer): boolean {
    if (attached < this.#faults.deafBefore || !link.is_open()) return false
    const { credit, session } = link as unknown as Outgoing
    const { next_delivery_id: next, next_pending_delivery: written, deliveries } = session.outgoing
    return credit > next - written && deliveries.available() > 0
  }

  #settled(consumer: Consumer, delivery: Delivery, apply: (token: string, delivery: Delivery) => boolean): void {
    this.#count('settlements')
    const token = consumer.tokens.get(delivery.id) ?? ''
    consumer.tokens.delete(delivery.id)
    const lost = { condition: 'com.microsoft:message-lock-lost', description: 'The lock of the message was lost.' }
    const error = apply(token, delivery) ? undefined : lost
    this.#answers.send(() => {
      if (!consumer.link.is_open()) return
      // As with those of the client, what differs must not leave in one tick.
      void this.#turns.run(error ? 'lost' : 'counted', async () => answerSettlement(delivery, error))
    })
  }
}

/** What rhea does not publish of a sending link. */
interface Outgoing {
  credit: number
  session: {
    outgoing: { next_delivery_id: number; next_pending_delivery: number; deliveries: { available(): number } }
  }
}
