import type { Owner } from '#identity/principal.ts'
import type { Sql } from '#platform/sql/sql.ts'

const LISTED_AT_ONCE = 1000

/** Every finished turn of a person; resolves with how many there were. */
export async function eraseTurns(sql: Sql, { tenant, id }: Owner): Promise<number> {
  const [row] = await sql.query<{ count: number }>({ tenant }, erase, [tenant, id])
  return row?.count ?? 0
}

/** The ids of a person's finished turns. */
export async function* turnsOf(sql: Sql, { tenant, id }: Owner): AsyncGenerator<string> {
  for (let after = ''; ; ) {
    const found = await sql.query<{ id: string }>({ tenant }, list, [tenant, id, after, LISTED_AT_ONCE])
    for (const turn of found) yield turn.id
    const last = found.at(-1)
    if (!last) return
    after = last.id
  }
}

/** $1 tenant, $2 owner */
const erase = `
WITH gone AS (DELETE FROM turns WHERE tenant = $1 AND owner = $2 RETURNING id)
SELECT count(*) AS count FROM gone`

/** $1 tenant, $2 owner, $3 after, $4 limit */
const list = `
SELECT id FROM turns WHERE tenant = $1 AND owner = $2 AND id > $3 ORDER BY id LIMIT $4`
