import { randomBytes } from 'node:crypto'

type IdKind = 'conv' | 'turn' | 'msg' | 'run' | 'req' | 'rep' | 'roll' | 'shadow' | 'copy' | 'audit' | 'alert' | 'key'

const COUNTER_END = 0x1000
/** Random hexadecimal digits of an id: those that its counter may begin from, and those that end it. */
const [COUNTER_DIGITS, TAIL_DIGITS] = [3, 16]
const AT_ONCE = 64

/** Digits for many ids: drawn for one at a time, they took longer than all else about it. */
let random = ''
let used = 0
/** ms since the epoch and counter of the last id that was made here. */
let time = 0
let timeDigits = ''
let counter = 0

/**
 * A new id: its kind and 32 hexadecimal digits of a UUIDv7, so ids of one kind sort by their time of making, those of one process
 * also within a millisecond (RFC 9562, 6.2: the digits after the version count on).
 */
export function newId(kind: IdKind): string {
  const now = Date.now()
  counter = now > time ? Number.parseInt(draw(COUNTER_DIGITS), 16) : counter + 1
  if (now > time || counter === COUNTER_END) {
    time = Math.max(now, time + 1)
    timeDigits = hex(time, 12)
    counter %= COUNTER_END
  }
  // Of the first digit after the counter, two bits are the variant.
  const variant = '89ab'.charAt(Number.parseInt(draw(1), 16) % 4)
  return `${kind}_${timeDigits}7${hex(counter, 3)}${variant}${draw(TAIL_DIGITS - 1)}`
}

function draw(digits: number): string {
  if (used + digits > random.length) {
    random = randomBytes((AT_ONCE * (COUNTER_DIGITS + TAIL_DIGITS)) / 2).toString('hex')
    used = 0
  }
  used += digits
  return random.slice(used - digits, used)
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0')
}
