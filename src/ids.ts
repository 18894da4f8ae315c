import { randomUUIDv7 } from 'node:crypto'

type IdKind = 'conv' | 'turn' | 'msg' | 'run' | 'req' | 'rep' | 'roll' | 'shadow' | 'copy' | 'audit' | 'alert' | 'key'

/** Of a UUIDv7 without hyphens: 12 digits of milliseconds, and after its version 3 more that are random. */
const [TIME, HEAD] = [12, 16]
const COUNTER_END = 0x1000

/** The head of the last id that was made here. */
let last = ''

/**
 * A new id: its kind and 32 hexadecimal digits of a UUIDv7, so ids of one kind sort by their time of making, those of one process
 * also within a millisecond (RFC 9562, 6.2: the digits after the version count on).
 */
export function newId(kind: IdKind): string {
  const digits = randomUUIDv7().replaceAll('-', '')
  const head = digits.slice(0, HEAD)
  last = head > last ? head : after(last)
  return `${kind}_${last}${digits.slice(HEAD)}`
}

function after(head: string): string {
  const counter = Number.parseInt(head.slice(TIME + 1), 16) + 1
  if (counter < COUNTER_END) return `${head.slice(0, TIME + 1)}${hex(counter, 3)}`
  return `${hex(Number.parseInt(head.slice(0, TIME), 16) + 1, TIME)}7000`
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
