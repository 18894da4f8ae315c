import type { Owner } from '#identity/principal.ts'
import type { Sql } from '#platform/sql/sql.ts'

/**
 * The runs of a person with their attempts and follow-ups, those under way too: what they come to is not kept. Where the person
 * decided on runs of others, the decision stays, and nobody's name. Resolves with how many rows were touched.
 */
export async function eraseRuns(sql: Sql, { tenant, id }: Owner): Promise<number> {
  return sql.transaction({ tenant }, async (tx) => {
    const gone = await tx.query('DELETE FROM runs WHERE tenant = $1 AND owner = $2 RETURNING id', [tenant, id])
    const unnamed = await tx.query(unnameDecisions, [tenant, id])
    return gone.length + unnamed.length
  })
}

/** $1 tenant, $2 who decided */
const unnameDecisions = `
UPDATE runs SET approval = jsonb_set(approval, '{decidedBy}', '{"id": "", "name": ""}')
WHERE tenant = $1 AND approval #>> '{decidedBy,id}' = $2 RETURNING id`
