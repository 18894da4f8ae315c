import type { Owner } from '#identity/principal.ts'
import type { Sql } from '#platform/sql/sql.ts'

const LISTED_AT_ONCE = 1000

/** Every finished turn of a person; resolves with how many there were. */
export async function eraseTurns(sql: Sql, { tenant, id }: Owner): Promise<number> {
  const [row] = await sql.query<{ count: number }>({ tenant }, erase, [tenant, id])
  return row?.count ?? 0
}

/** In order of the turns' ids: above `after`, up to a thousand. */
export function turnsOf(
  sql: Sql,
  { tenant, id }: Owner,
  after: string,
): Promise<{ id: string; conversation: string | null }[]> {
  return sql.query({ tenant }, list, [tenant, id, after, LISTED_AT_ONCE])
}

/** $1 tenant, $2 owner */
const erase = `
WITH gone AS (DELETE FROM turns WHERE tenant = $1 AND owner = $2 RETURNING id)
SELECT count(*) AS count FROM gone`

/** $1 tenant, $2 owner, $3 after, $4 limit */
const list = `
SELECT id, conversation FROM turns WHERE tenant = $1 AND owner = $2 AND id > $3 ORDER BY id LIMIT $4`
