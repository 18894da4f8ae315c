import type { Sql, Tx } from '#platform/sql/sql.ts'
import type { Link } from '../audit.ts'
import { append } from './append.ts'
import type { Written } from './chain.ts'

const MOST = 10_000
/** $1 before. Those of which the first entry is older. */
const TENANTS = `
SELECT tenant FROM audit_heads AS head
WHERE (SELECT at FROM audit WHERE audit.tenant = head.tenant ORDER BY seq LIMIT 1) < $1 ORDER BY tenant`
/** $1 tenant. Whoever adds, or cuts, waits here until the transaction is over. */
const HOLD = 'SELECT seq FROM audit_heads WHERE tenant = $1 FOR UPDATE'
/** $1 tenant, $2 before. The last of those that come before the first one that stays. */
const LAST = `
WITH oldest AS (SELECT seq, at, hash FROM audit WHERE tenant = $1 ORDER BY seq LIMIT ${MOST})
SELECT seq, hash FROM oldest WHERE seq < coalesce((SELECT min(seq) FROM oldest WHERE at >= $2), ${Number.MAX_SAFE_INTEGER})
ORDER BY seq DESC LIMIT 1`
/** $1 tenant, $2 seq */
const CUT = `
WITH gone AS (DELETE FROM audit WHERE tenant = $1 AND seq <= $2 RETURNING 1) SELECT count(*) AS gone FROM gone`

/** What says where the chain begins from then on. */
export interface Cut {
  /** Its details are the link's fields and no others: the database looks for them by the letter. */
  entry(tenant: string, link: Link): Written
  /** ms since the epoch. */
  before: number
}

/**
 * Takes what is older out of the beginning of each tenant's chain, once that is stated in the chain itself: both or neither.
 * Resolves with how many entries went; there may be more.
 */
export async function cutChains(sql: Sql, { entry, before }: Cut): Promise<number> {
  const tenants = await sql.query<{ tenant: string }>('system', TENANTS, [before])
  let gone = 0
  for (const { tenant } of tenants) {
    gone += await sql.transaction({ tenant }, (tx) => cutChain(tx, tenant, before, (link) => entry(tenant, link)))
  }
  return gone
}

async function cutChain(tx: Tx, tenant: string, before: number, entry: (link: Link) => Written): Promise<number> {
  await tx.query(HOLD, [tenant])
  const [last] = await tx.query<Link>(LAST, [tenant, before])
  if (!last) return 0
  await append(tx, tenant, [entry(last)])
  const [cut] = await tx.query<{ gone: number }>(CUT, [tenant, last.seq])
  return cut?.gone ?? 0
}
