import rhea, { type Message } from 'rhea'

const { message: codec, types } = rhea

/** What the broker keeps of a message. Times are ms since the epoch. */
export interface StoredMessage {
  sequence: number
  id: string
  content: Message
  enqueuedAt: number
  /** Deliveries that have come back. */
  returned: number
}

const dataSection = 0x75
const batchFormat = 0x80013700
const states = { active: 0, scheduled: 2 } as const

export function decodeMessage(bytes: Buffer): Message {
  return codec.decode(bytes) as unknown as Message
}

/** The messages of one transfer: a batch carries each as a data section of its own. */
export function readTransfer(received: Message | Buffer, format: number | undefined): Message[] {
  const message = Buffer.isBuffer(received) ? decodeMessage(received) : received
  if (format !== batchFormat) return [message]
  if (message.body?.typecode !== dataSection) throw new Error('a batch without data sections')
  return [message.body.content].flat().map(decodeMessage)
}

/** A message as it goes to a consumer, or to one who peeks. */
export function encodeStored(stored: StoredMessage, state: keyof typeof states, lockedUntil?: number): Buffer {
  const { content, sequence, enqueuedAt, returned } = stored
  const annotations: Record<string, unknown> = {
    ...content.message_annotations,
    'x-opt-sequence-number': types.wrap_long(sequence),
    'x-opt-enqueued-time': types.wrap_timestamp(enqueuedAt),
    'x-opt-message-state': types.wrap_int(states[state]),
  }
  if (lockedUntil !== undefined) annotations['x-opt-locked-until'] = types.wrap_timestamp(lockedUntil)
  return codec.encode({ ...content, message_annotations: annotations, delivery_count: returned })
}
