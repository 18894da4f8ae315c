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
/** $1 tenant */
const FIRST = 'SELECT min(seq) AS seq FROM audit WHERE tenant = $1'
/** $1 tenant, $2 the last that is not there any more */
const STATED = `
SELECT details FROM audit WHERE tenant = $1 AND seq > $2 AND kind = 'audit.cut' ORDER BY seq DESC LIMIT 1`

type Broken = NonNullable<AuditVerdict['broken']>

/** Reads the whole chain, and what is added to it meanwhile. */
export async function verifyChain(sql: Sql, tenant: string, seen: Link | undefined): Promise<AuditVerdict> {
  const from = await beginningOf(sql, tenant)
  let at = from
  let entries = 0
  const verdict = (broken: Broken | null): AuditVerdict => {
    const [head, cut] = [at, from].map((link) => (link.seq === 0 ? null : link))
    return { intact: broken === null, entries, from: cut ?? null, head: head ?? null, broken }
  }
  if (seen && seen.seq < from.seq) return verdict({ seq: seen.seq, because: 'past-its-time' })
  if (seen && seen.seq === from.seq && seen.hash !== from.hash)
    return verdict({ seq: seen.seq, because: 'not-as-seen' })
  for (;;) {
    const rows = await sql.query<Written & Link>({ tenant }, READ, [tenant, at.seq])
    for (const row of rows) {
      if (row.seq !== at.seq + 1) {
        // It may have been cut while it was read.
        const now = await beginningOf(sql, tenant)
        if (now.seq > from.seq) return verifyChain(sql, tenant, seen)
        return verdict({ seq: at.seq + 1, because: 'missing' })
      }
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

/**
 * What the first entry goes on from: nothing, or what the last cut states. That a cut states nothing else is in the chain, and
 * shows when it is read.
 */
async function beginningOf(sql: Sql, tenant: string): Promise<Link> {
  const [first] = await sql.query<{ seq: number | null }>({ tenant }, FIRST, [tenant])
  if (!first || first.seq === null || first.seq === 1) return beginning
  const [stated] = await sql.query<{ details: string }>({ tenant }, STATED, [tenant, first.seq - 1])
  return stated ? linkOf(stated.details) : beginning
}

function linkOf(details: string): Link {
  try {
    const { seq, hash }: Partial<Link> = JSON.parse(details)
    return Number.isSafeInteger(seq) && typeof hash === 'string' ? { seq: Number(seq), hash } : beginning
  } catch {
    return beginning
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
