import type { Arg } from '#platform/kv/kv.ts'

/** The arguments of an operation as its twin reads them: Redis sees them all as strings. */
export function text(arg: Arg | undefined): string {
  return arg instanceof Uint8Array ? Buffer.from(arg).toString() : String(arg ?? '')
}

export function integer(arg: Arg | undefined): number {
  const value = Number(arg)
  if (!Number.isSafeInteger(value)) throw new RangeError('an operation wants an integer here')
  return value
}

/** A field of a record that counts; 0 before it was counted for the first time. */
export function count(value: Buffer | undefined): number {
  return Number(value?.toString() ?? 0)
}
