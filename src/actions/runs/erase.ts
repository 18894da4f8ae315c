import type { Owner } from '#identity/principal.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { LOCK_CONVERSATION } from './insert.ts'
import { RELEASE_NEXT } from './work.ts'

/**
 * The runs of a person with their attempts and follow-ups, those under way too: what they come to is not kept. Where the person
 * decided on runs of others, the decision stays, and nobody's name; where one was in the way of runs of others, who undid what
 * the person had done or had it undone, those go on. Resolves with how many rows were touched.
 */
export async function eraseRuns(sql: Sql, { tenant, id }: Owner, now: number): Promise<number> {
  return sql.transaction({ tenant }, async (tx) => {
    const shared = await tx.query<{ conversation: string }>(SHARED, [tenant, id])
    for (const { conversation } of shared) await tx.query(LOCK_CONVERSATION, [conversation])
    const gone = await tx.query('DELETE FROM runs WHERE tenant = $1 AND owner = $2 RETURNING id', [tenant, id])
    // Sent for by whoever sweeps.
    for (const { conversation } of shared) await tx.query(RELEASE_NEXT, [conversation, now])
    const unnamed = await tx.query(unnameDecisions, [tenant, id])
    return gone.length + unnamed.length
  })
}

/** $1 tenant, $2 whose: conversations in which others wait for their turn. */
const SHARED = `
SELECT DISTINCT w.conversation FROM runs w WHERE w.tenant = $1 AND w.owner <> $2 AND w.waiting AND w.settled_at IS NULL
  AND EXISTS (SELECT FROM runs r WHERE r.conversation = w.conversation AND r.ordered AND r.owner = $2)
ORDER BY w.conversation`

/** $1 tenant, $2 who decided */
const unnameDecisions = `
UPDATE runs SET approval = jsonb_set(approval, '{decidedBy}', '{"id": "", "name": ""}')
WHERE tenant = $1 AND approval #>> '{decidedBy,id}' = $2 RETURNING id`
