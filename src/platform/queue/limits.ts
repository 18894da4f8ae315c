import { ParleyError } from '#errors.ts'
import { type QueueMessage, queueLimits, type ReceiveOptions } from './queue.ts'

const printable = /^[\x20-\x7e]+$/
const traceparent = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/
const maxConcurrency = 1000
const reasonLength = 128
const descriptionLength = 1024

export function unavailable(cause: unknown): ParleyError {
  return new ParleyError('queue_unavailable', { cause })
}

export function checkMessages(messages: readonly QueueMessage[]): void {
  checkCount('messages of a call', messages.length, 0, queueLimits.messagesPerCall)
  for (const message of messages) {
    checkId(message.id)
    if (message.traceparent !== undefined && !traceparent.test(message.traceparent)) {
      throw new RangeError('A traceparent is as W3C Trace Context says')
    }
    // A character has at most three bytes, so most bodies need no counting.
    if (message.body.length * 3 <= queueLimits.bodyBytes) continue
    if (Buffer.byteLength(message.body) > queueLimits.bodyBytes) {
      throw new RangeError(`A body has at most ${queueLimits.bodyBytes} bytes`)
    }
  }
}

export function checkTime(at: number): void {
  if (!Number.isSafeInteger(at) || at < 0) throw new RangeError('A time is a whole number of ms since the epoch')
}

export function checkReceiving({ concurrency, renewForMs }: ReceiveOptions): void {
  checkCount('concurrency', concurrency, 1, maxConcurrency)
  if (!Number.isFinite(renewForMs) || renewForMs < 0) throw new RangeError('renewForMs is a number from 0')
}

export function checkDeadLetterPage(limit: number, skip: number): void {
  checkCount('dead letters of a call', limit, 1, queueLimits.deadLettersPerCall)
  checkCount('dead letters that are skipped', skip, 0, queueLimits.deadLettersSkipped)
}

export function checkDeadLetterIds(ids: readonly string[]): void {
  checkCount('dead letters of a call', ids.length, 0, queueLimits.deadLettersPerCall)
  for (const id of ids) checkId(id)
}

export function checkReason(reason: string, description: string): void {
  if (reason.length < 1 || reason.length > reasonLength || !printable.test(reason)) {
    throw new RangeError(`A reason has 1 to ${reasonLength} characters of printable ASCII`)
  }
  if (description.length > descriptionLength) {
    throw new RangeError(`A description has at most ${descriptionLength} characters`)
  }
}

function checkId(id: string): void {
  if (id.length <= queueLimits.idLength && printable.test(id)) return
  throw new RangeError(`An id has 1 to ${queueLimits.idLength} characters of printable ASCII`)
}

function checkCount(name: string, count: number, least: number, most: number): void {
  if (Number.isInteger(count) && count >= least && count <= most) return
  throw new RangeError(`${name}: a whole number from ${least} to ${most}`)
}
