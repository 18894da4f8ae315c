import type { Sql } from '#platform/sql/sql.ts'
import type { AuditVerdict, Link } from '../audit.ts'
import { beginning, chained, type Written } from './chain.ts'

const PAGE = 1000
/** $1 tenant, $2 after */
const READ = `
SELECT seq, tenant, id, at, kind, actor, subject, details, hash FROM audit
WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT ${PAGE}`
/** $1 tenant. In one statement, so that what is added meanwhile is in both or in neither. */
const STAND = `
SELECT (SELECT max(seq) FROM audit WHERE tenant = $1) AS last,
  (SELECT seq FROM audit_heads WHERE tenant = $1) AS seq, (SELECT hash FROM audit_heads WHERE tenant = $1) AS hash`

type Broken = NonNullable<AuditVerdict['broken']>

/** Reads the whole chain, and what is added to it meanwhile. */
export async function verifyChain(sql: Sql, tenant: string, seen: Link | undefined): Promise<AuditVerdict> {
  let at = beginning
  let entries = 0
  const verdict = (broken: Broken | null): AuditVerdict => {
    return { intact: broken === null, entries, head: at.seq === 0 ? null : at, broken }
  }
  for (;;) {
    const rows = await sql.query<Written & Link>({ tenant }, READ, [tenant, at.seq])
    for (const row of rows) {
      if (row.seq !== at.seq + 1) return verdict({ seq: at.seq + 1, because: 'missing' })
      entries += 1
      const link = chained(at, row)
      if (link.hash !== row.hash) return verdict({ seq: row.seq, because: 'changed' })
      if (seen?.seq === row.seq && seen.hash !== row.hash) return verdict({ seq: row.seq, because: 'not-as-seen' })
      at = link
    }
    if (rows.length === PAGE) continue
    const [stand] = await sql.query<Stand>({ tenant }, STAND, [tenant])
    if ((stand?.last ?? 0) > at.seq) continue
    return verdict(brokenAtEnd(at, stand, seen))
  }
}

interface Stand {
  last: number | null
  seq: number | null
  hash: string | null
}

function brokenAtEnd(at: Link, stand: Stand | undefined, seen: Link | undefined): Broken | null {
  const head = { seq: stand?.seq ?? 0, hash: stand?.hash ?? '' }
  if (head.seq > at.seq) return { seq: at.seq + 1, because: 'cut-off' }
  if (head.seq < at.seq) return { seq: head.seq + 1, because: 'added-past-head' }
  if (head.hash !== at.hash) return { seq: at.seq, because: 'changed' }
  return seen && seen.seq > at.seq ? { seq: at.seq + 1, because: 'cut-off' } : null
}
