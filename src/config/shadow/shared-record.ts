import { ParleyError } from '#errors.ts'
import type { Key, Kv } from '#platform/kv/kv.ts'

/** Of replicas that change one record at once, one is always through; this many times in a row nobody is the loser. */
const TRIES = 100

/**
 * Reads a record, changes it, and writes it where nobody else has meanwhile; else once more, from what they have written.
 * `change` answers the same record to leave it as it is. Rejects with state_unavailable, and with what `change` throws.
 */
export async function changeRecord<Value extends object>(
  kv: Kv,
  at: Key,
  initial: () => Value,
  change: (before: Value) => Value,
  ttlMs?: number,
): Promise<Value> {
  for (let tries = 0; tries < TRIES; tries++) {
    const found = await kv.get(at)
    const before: Value = found ? JSON.parse(found.value.toString()) : initial()
    const after = change(before)
    if (after === before) return before
    const options = { ifVersion: found?.version ?? 0, ...(ttlMs !== undefined && { ttlMs }) }
    if ((await kv.put(at, Buffer.from(JSON.stringify(after)), options)) !== undefined) return after
  }
  throw new ParleyError('state_unavailable')
}

export async function readRecord<Value extends object>(kv: Kv, at: Key): Promise<Value | undefined> {
  const found = await kv.get(at)
  return found && (JSON.parse(found.value.toString()) as Value)
}
