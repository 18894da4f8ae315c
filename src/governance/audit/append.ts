import type { Tx } from '#platform/sql/sql.ts'
import type { Link } from '../audit.ts'
import { beginning, chained, type Written } from './chain.ts'

/** $1 tenant */
const FIRST = `INSERT INTO audit_heads (tenant, seq, hash) VALUES ($1, 0, '') ON CONFLICT DO NOTHING`
/** $1 tenant. Others wait here until the transaction is over: one writer at a time. */
const HOLD = 'SELECT seq, hash FROM audit_heads WHERE tenant = $1 FOR UPDATE'
/** $1 tenant, $2 ids */
const KNOWN = 'SELECT id FROM audit WHERE tenant = $1 AND id = ANY ($2)'
/** $1 entries */
const ADD = `
INSERT INTO audit (tenant, seq, id, at, kind, actor, subject, details, hash)
SELECT * FROM jsonb_to_recordset($1::jsonb) AS e(tenant text, seq bigint, id text, at bigint, kind text, actor text,
  subject text, details text, hash text)`
/** $1 tenant, $2 seq, $3 hash */
const MOVE = 'UPDATE audit_heads SET seq = $2, hash = $3 WHERE tenant = $1'

/** Adds those that are not there yet to the chain of their tenant, as part of a transaction. Resolves with its new head. */
export async function append(tx: Tx, tenant: string, entries: readonly Written[]): Promise<Link> {
  await tx.query(FIRST, [tenant])
  const [held = beginning] = await tx.query<Link>(HOLD, [tenant])
  const kept = await tx.query<{ id: string }>(KNOWN, [tenant, entries.map(({ id }) => id)])
  const known = new Set(kept.map(({ id }) => id))
  let head: Link = held
  const added: (Written & Link)[] = []
  for (const entry of entries) {
    if (known.has(entry.id)) continue
    known.add(entry.id)
    head = chained(head, entry)
    added.push({ ...entry, ...head })
  }
  if (added.length === 0) return head
  await tx.query(ADD, [JSON.stringify(added)])
  await tx.query(MOVE, [tenant, head.seq, head.hash])
  return head
}
