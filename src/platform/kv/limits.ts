import { ParleyError } from '#errors.ts'
import { type Arg, type Key, kvLimits } from './kv.ts'

export function checkCount(name: string, count: number | undefined, least: number): number | undefined {
  if (count === undefined || (Number.isSafeInteger(count) && count >= least)) return count
  throw new RangeError(`${name} is a whole number from ${least}`)
}

export function checkPosition(position: number): number {
  // One below the largest: Redis keeps position + 1, as it knows no entry 0.
  if (Number.isSafeInteger(position) && position >= 0 && position < Number.MAX_SAFE_INTEGER) return position
  throw new RangeError('A position is a whole number from 0')
}

export function checkPayload(payload: string): void {
  if (Buffer.byteLength(payload) > kvLimits.payloadBytes) {
    throw new RangeError(`A payload has at most ${kvLimits.payloadBytes} bytes`)
  }
}

export function checkKeys(keys: readonly Key[]): void {
  const first = keys[0]
  if (first === undefined) throw new RangeError('An operation needs a key')
  if (keys.length === 1) return
  const partition = first.slice(0, first.indexOf('}') + 1)
  for (const key of keys) {
    if (!key.startsWith(partition)) throw new RangeError('All keys of an operation share one partition')
  }
}

export function checkArg(arg: Arg): void {
  if (typeof arg === 'number') {
    if (!Number.isFinite(arg)) throw new RangeError('A number among the arguments is finite')
    return
  }
  // A character has at most three bytes, so most strings need no counting.
  if (typeof arg === 'string' && arg.length * 3 <= kvLimits.valueBytes) return
  if (Buffer.byteLength(arg) > kvLimits.valueBytes) throw new ParleyError('message_too_large')
}

export function checkReadLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= kvLimits.readEntries) return
  throw new RangeError(`A read takes 1 to ${kvLimits.readEntries} entries`)
}
