import type { Sql } from '#platform/sql/sql.ts'

const AT_ONCE = 1000
/** Of 32 hexadecimal digits of an id, those that tell when it was made. */
const TIME_DIGITS = 12

/**
 * $1 when they came to rest at the latest, $2 an id that nothing made before that is above, $3 how many. Found in the order of
 * ids, and so without an index of its own. What waits for a person is no matter of time. What was undone stays as long as its
 * undoing is to be known, for else it could be undone again; and goes before it, for the same reason.
 */
const PRUNE = `
  DELETE FROM runs WHERE id IN (
    SELECT r.id FROM runs r
    WHERE r.id < $2 AND r.settled_at < $1 AND r.status NOT IN ('unknown', 'dead-lettered')
      AND NOT EXISTS (SELECT FROM runs u WHERE u.id = r.undoes)
      AND NOT EXISTS (SELECT FROM runs u WHERE u.undoes = r.id
        AND (u.settled_at IS NULL OR u.settled_at >= $1 OR u.status IN ('unknown', 'dead-lettered')))
    ORDER BY r.id LIMIT $3 FOR UPDATE SKIP LOCKED)
  RETURNING id`

/**
 * Takes out runs of all tenants that came to rest before this, with their attempts and what was never reported of them; not those
 * that a person has to decide on. A part at a time: resolves with how many went, 0 when there are none left.
 */
export async function pruneRuns(sql: Sql, before: number): Promise<number> {
  const above = `run_${before.toString(16).padStart(TIME_DIGITS, '0')}`
  return (await sql.query('system', PRUNE, [before, above, AT_ONCE])).length
}
