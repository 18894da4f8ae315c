import type { Clock } from '#platform/clock.ts'
import { BrokerQueue } from './broker-queue.ts'
import { Consumers } from './consumers.ts'
import type { Answers, Faults } from './faults.ts'
import type { StoredMessage } from './stored-message.ts'

export interface EntityOptions {
  clock: Clock
  lockMs: number
  duplicateWindowMs: number
  maxDeliveries: number
  faults: Faults
  answers: Answers
  count: (operation: 'deliveries' | 'settlements') => void
}

export interface Part {
  queue: BrokerQueue
  consumers: Consumers
}

/** A queue and its dead letters. */
export interface Entity {
  main: Part
  dead: Part
}

export function createEntity(options: EntityOptions): Entity {
  const { faults, answers, count, ...settings } = options
  const dead = createPart(options, {
    ...settings,
    duplicateWindowMs: 0,
    maxDeliveries: Number.POSITIVE_INFINITY,
    deadLetter: () => {},
  })
  const bury = (stored: StoredMessage, reason: string, description: string) => {
    const reasons = { DeadLetterReason: reason, DeadLetterErrorDescription: description }
    const properties = { ...stored.content.application_properties, ...reasons }
    dead.queue.addStored({ ...stored, content: { ...stored.content, application_properties: properties } })
  }
  return { main: createPart(options, { ...settings, deadLetter: bury }), dead }
}

function createPart(
  { faults, answers, count }: EntityOptions,
  settings: Omit<ConstructorParameters<typeof BrokerQueue>[0], 'onReady'>,
): Part {
  const queue = new BrokerQueue({ ...settings, onReady: () => consumers.pump() })
  const consumers = new Consumers(queue, faults, answers, count)
  return { queue, consumers }
}
