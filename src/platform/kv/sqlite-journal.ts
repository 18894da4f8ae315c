import type { LogEntry } from './kv.ts'

/** A change of a record or a log, as the journal keeps it until the tables have it. */
export interface Change {
  what: 'set' | 'unset' | 'append'
  id: number
  /** set, unset: the field. */
  name: string
  /** append: the position. */
  position: number
  /** set: the value; append: the body. */
  bytes: Buffer
}

const kinds = ['set', 'unset', 'append'] as const
// Kind, id, position, length of the name, length of the bytes; numbers go up to 2^53, so they are doubles.
const head = 1 + 8 + 8 + 2 + 4
const none = Buffer.alloc(0)
const usualBytes = 1 << 16
const keptBytes = 1 << 20

/** Collects the changes of one transaction. */
export class JournalWriter {
  #buffer = Buffer.allocUnsafe(usualBytes)
  #length = 0

  get length(): number {
    return this.#length
  }

  /** Forgets what was written after `length`. */
  cut(length: number): void {
    this.#length = length
    if (length === 0 && this.#buffer.length > keptBytes) this.#buffer = Buffer.allocUnsafe(usualBytes)
  }

  /** All that was written; valid until the next write. */
  content(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  write(what: Change['what'], id: number, name: string, position: number, bytes: Uint8Array = none): void {
    const at = this.#length
    const nameLength = Buffer.byteLength(name)
    const end = at + head + nameLength + bytes.byteLength
    if (end > this.#buffer.length) this.#grow(end)
    const buffer = this.#buffer
    buffer[at] = kinds.indexOf(what)
    buffer.writeDoubleLE(id, at + 1)
    buffer.writeDoubleLE(position, at + 9)
    buffer.writeUInt16LE(nameLength, at + 17)
    buffer.writeUInt32LE(bytes.byteLength, at + 19)
    buffer.write(name, at + head)
    buffer.set(bytes, at + head + nameLength)
    this.#length = end
  }

  #grow(least: number): void {
    const larger = Buffer.allocUnsafe(Math.max(least, 2 * this.#buffer.length))
    larger.set(this.content())
    this.#buffer = larger
  }
}

export function readChanges(content: Buffer): Change[] {
  const changes: Change[] = []
  for (let at = 0; at < content.length; ) {
    const what = kinds[content.readUInt8(at)]
    if (!what) throw new RangeError('The journal holds a change of no known kind')
    const bytesAt = at + head + content.readUInt16LE(at + 17)
    const end = bytesAt + content.readUInt32LE(at + 19)
    changes.push({
      what,
      id: content.readDoubleLE(at + 1),
      position: content.readDoubleLE(at + 9),
      name: content.toString('utf8', at + head, bytesAt),
      bytes: content.subarray(bytesAt, end),
    })
    at = end
  }
  return changes
}

const entryHead = 8 + 4

/** Neighbouring entries of a log as one row: they are written and read together. */
export function packEntries(entries: readonly LogEntry[]): Buffer {
  let length = 0
  for (const { body } of entries) length += entryHead + body.byteLength
  const packed = Buffer.allocUnsafe(length)
  let at = 0
  for (const { position, body } of entries) {
    packed.writeDoubleLE(position, at)
    packed.writeUInt32LE(body.byteLength, at + 8)
    packed.set(body, at + entryHead)
    at += entryHead + body.byteLength
  }
  return packed
}

export function unpackEntries(packed: Buffer): LogEntry[] {
  const entries: LogEntry[] = []
  for (let at = 0; at < packed.length; ) {
    const end = at + entryHead + packed.readUInt32LE(at + 8)
    entries.push({ position: packed.readDoubleLE(at), body: packed.subarray(at + entryHead, end) })
    at = end
  }
  return entries
}
