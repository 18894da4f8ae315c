import type { Arg } from '#platform/kv/kv.ts'

/** The arguments of an operation as its twin reads them: Redis sees them all as strings of bytes. */
export function text(arg: Arg | undefined): string {
  return typeof arg === 'string' ? arg : arg instanceof Uint8Array ? Buffer.from(arg).toString() : String(arg ?? '')
}

export function integer(arg: Arg | undefined): number {
  const value = Number(arg)
  if (!Number.isSafeInteger(value)) throw new RangeError('an operation wants an integer here')
  return value
}

export function bytes(arg: Arg | undefined): Uint8Array {
  return arg instanceof Uint8Array ? arg : Buffer.from(text(arg))
}

/** An integer field of a record, as stored. */
export function field(value: Buffer | undefined): number {
  return value === undefined ? Number.NaN : Number(value.toString())
}
