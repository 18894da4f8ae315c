import { types } from 'pg'
import type { SqlParam, SqlValue } from './sql.ts'

/** As text, which the server parses by the type it expects; bytes as they are. */
export function encode(param: SqlParam): string | Buffer | null {
  if (param === null) return null
  if (param instanceof Uint8Array) return Buffer.from(param.buffer, param.byteOffset, param.byteLength)
  if (typeof param !== 'object') return String(param)
  if (param instanceof Date) return param.toISOString()
  return Array.isArray(param) ? encodeArray(param) : JSON.stringify(param)
}

function encodeArray(items: readonly SqlParam[]): string {
  return `{${items.map(encodeItem).join(',')}}`
}

function encodeItem(item: SqlParam): string {
  if (Array.isArray(item)) return encodeArray(item)
  const encoded = encode(item)
  if (encoded === null) return 'NULL'
  const text = typeof encoded === 'string' ? encoded : `\\x${encoded.toString('hex')}`
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}

type Decode = (text: string) => SqlValue

/** How a value of a type, given by its OID, comes back. */
export function decoderOf(oid: number): Decode {
  return ours.get(oid) ?? types.getTypeParser(oid, 'text')
}

const int8Array: number = 1016
const asText: Decode = (text) => text
const integers: Decode = (text) => decodeIntegers(types.getTypeParser(int8Array, 'text')(text))

const ours = new Map<number, Decode>([
  [types.builtins.INT8, decodeInteger],
  [int8Array, integers],
  // A date, or a time without its zone, is not a moment: `Date` would make one of it, differently on every machine.
  [types.builtins.DATE, asText],
  [types.builtins.TIMESTAMP, asText],
])

type Nested<Item> = Item | null | Nested<Item>[]

function decodeIntegers(texts: Nested<string>[]): Nested<number>[] {
  return texts.map((text) => {
    if (text === null) return null
    return Array.isArray(text) ? decodeIntegers(text) : decodeInteger(text)
  })
}

function decodeInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError('an int8 is beyond what a number can hold exactly')
  return value
}
