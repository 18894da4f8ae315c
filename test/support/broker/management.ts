import rhea, { type Message } from 'rhea'
import type { BrokerQueue } from './broker-queue.ts'
import { decodeMessage, encodeStored } from './stored-message.ts'

const { types } = rhea

export interface ManagementReply {
  status: number
  condition?: string
  body?: unknown
}

const lockLost: ManagementReply = { status: 410, condition: 'com.microsoft:message-lock-lost' }
// Codes of AMQP's types, for arrays.
const longCode = 0x81
const timestampCode = 0x83

/** What is asked at a queue's `$management`. */
export function manage(queue: BrokerQueue, request: Message): ManagementReply {
  const { body } = request
  switch (request.application_properties?.operation) {
    case 'com.microsoft:peek-message':
      return peek(queue, Number(body['from-sequence-number']), Number(body['message-count']))
    case 'com.microsoft:renew-lock':
      return renew(queue, tokensOf(body))
    case 'com.microsoft:schedule-message':
      return schedule(queue, body.messages)
    case 'com.microsoft:cancel-scheduled-message':
      return cancel(queue, body['sequence-numbers'].map(readLong))
    case 'com.microsoft:update-disposition':
      return settle(queue, body)
    default:
      return { status: 501, condition: 'amqp:not-implemented' }
  }
}

function peek(queue: BrokerQueue, sequence: number, count: number): ManagementReply {
  const found = queue.peek(sequence, count)
  if (found.length === 0) return { status: 204 }
  const messages = found.map((stored) => types.wrap_map({ message: encodeStored(stored, 'active') }))
  return { status: 200, body: { messages: types.wrap_list(messages) } }
}

function renew(queue: BrokerQueue, tokens: readonly string[]): ManagementReply {
  const expirations = tokens.map((token) => queue.renew(token))
  if (expirations.includes(undefined)) return lockLost
  return { status: 200, body: { expirations: types.wrap_array(expirations, timestampCode, undefined) } }
}

function schedule(queue: BrokerQueue, entries: readonly { message: Buffer }[]): ManagementReply {
  const numbers = entries.map(({ message }) => {
    const content = decodeMessage(message)
    const { 'x-opt-scheduled-enqueue-time': at, ...annotations } = content.message_annotations ?? {}
    content.message_annotations = annotations
    return queue.schedule(content, Number(at))
  })
  return { status: 200, body: { 'sequence-numbers': types.wrap_array(numbers, longCode, undefined) } }
}

/** One that is not scheduled (any more) fails the whole request, after the others were called off. */
function cancel(queue: BrokerQueue, numbers: readonly number[]): ManagementReply {
  const cancelled = numbers.map((sequence) => queue.cancel(sequence))
  return cancelled.includes(false) ? { status: 404, condition: 'com.microsoft:message-not-found' } : { status: 200 }
}

function settle(queue: BrokerQueue, body: Record<string, unknown>): ManagementReply {
  const status = body['disposition-status']
  const [reason, description] = [body['deadletter-reason'], body['deadletter-description']]
  const held = tokensOf(body).map((token) => {
    if (status === 'completed') return queue.complete(token)
    if (status === 'abandoned') return queue.release(token)
    return status === 'suspended' && queue.reject(token, String(reason), String(description))
  })
  return held.includes(false) ? lockLost : { status: 200 }
}

function tokensOf(body: Record<string, unknown>): string[] {
  const tokens = body['lock-tokens']
  return Array.isArray(tokens) ? tokens.map((token) => Buffer.from(token).toString('hex')) : []
}

function readLong(value: number | Buffer): number {
  return Buffer.isBuffer(value) ? Number(value.readBigInt64BE()) : Number(value)
}
