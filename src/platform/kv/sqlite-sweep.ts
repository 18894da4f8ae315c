import type { Key } from './kv.ts'
import { kinds, type Statements } from './sqlite-schema.ts'
import type { SqliteStep } from './sqlite-step.ts'

const keysAtOnce = 50
const chunksAtOnce = 20
const membersAtOnce = 200

/** One small step of clearing away: drops some keys that have expired, and rows of keys that are gone. True if there is more. */
export function sweep(step: SqliteStep, sql: Statements): boolean {
  const expired = sql.expiredKeys.all(step.now, keysAtOnce)
  // Nobody sees an expired key; looking at it drops it.
  for (const { key } of expired) step.exists(String(key) as Key)
  const garbage = sql.someGarbage.get()
  if (!garbage) return expired.length === keysAtOnce
  const id = Number(garbage.id)
  const { changes } =
    garbage.kind === kinds.log ? sql.sweepChunks.run(id, chunksAtOnce) : sql.sweepMembers.run(id, membersAtOnce)
  if (changes === 0) sql.dropGarbage.run(id)
  return true
}
