import { hash, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** What a key's holder sends, taken apart. */
export interface KeyText {
  id: string
  /** Of the whole text, SHA-256: all that is kept of it. */
  digest: Buffer
}

const PREFIX = 'parley_'
const SHAPE = /^parley_(?<digits>[0-9a-f]{32})_(?<secret>[0-9a-f]{64})(?<sum>[0-9a-f]{8})$/

/** Whether somebody meant to send a key, well-formed or not. */
export function looksLikeKey(text: string): boolean {
  return text.startsWith(PREFIX)
}

/**
 * A new secret of the key: `parley_<id>_<secret><checksum>`, hexadecimal, with 256 random bits and the CRC-32 of all before it, by
 * which scanners of sources, and we, tell a key from what looks like one without asking anybody.
 */
export function newKeyText(id: string): string {
  const text = `${PREFIX}${id.slice('key_'.length)}_${randomBytes(32).toString('hex')}`
  return text + checksumOf(text)
}

/** Undefined for what is cut off, mistyped or made up. */
export function readKeyText(text: string): KeyText | undefined {
  const { digits, sum } = SHAPE.exec(text)?.groups ?? {}
  if (digits === undefined || sum === undefined || checksumOf(text.slice(0, -sum.length)) !== sum) return undefined
  return { id: `key_${digits}`, digest: digestOf(text) }
}

export function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}

function checksumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, '0')
}
