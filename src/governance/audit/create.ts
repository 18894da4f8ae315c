import { newId } from '#ids.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { Audit, AuditEntry, KeptEntry } from '../audit.ts'
import { append } from './append.ts'
import { detailsText, type Written } from './chain.ts'
import { cutChains } from './cut.ts'
import { Noting } from './noting.ts'
import { verifyChain } from './verify.ts'

export interface AuditOptions {
  /** With `auditMigration`. */
  sql: Sql
  clock: Clock
  log: Log
}

/** $1 tenant, $2 before, $3 kind ('' = any), $4 limit */
const LIST = `
SELECT seq, tenant, id, at, kind, actor, subject, details, hash FROM audit
WHERE tenant = $1 AND seq < $2 AND ($3 = '' OR kind = $3) ORDER BY seq DESC LIMIT $4`

export function createAudit({ sql, clock, log }: AuditOptions): Audit {
  const noting = new Noting({ keep, clock, log })

  async function keep(tenant: string, entries: readonly Written[]): Promise<void> {
    const { seq, hash } = await sql.transaction({ tenant }, (tx) => append(tx, tenant, entries))
    // Where logs are kept elsewhere, whoever changes the chain would have to change them too.
    log.info({ tenant, seq, hash }, 'The audit log goes up to here')
  }

  function written({ details, id = newId('audit'), at = clock.now(), ...entry }: AuditEntry): Written {
    return { ...entry, id, at, details: detailsText(details) }
  }

  return {
    record: (entry) => keep(entry.tenant, [written(entry)]),
    note: (entry) => noting.note(written(entry)),
    async within(tx, entry) {
      await append(tx, entry.tenant, [written(entry)])
    },
    async list(tenant, { before = Number.MAX_SAFE_INTEGER, kind = '', limit }) {
      type Row = Omit<KeptEntry, 'details'> & { details: string }
      const rows = await sql.query<Row>({ tenant }, LIST, [tenant, before, kind, limit])
      return rows.map((row) => ({ ...row, details: JSON.parse(row.details) }))
    },
    prune: (before) => {
      const cut = { kind: 'audit.cut', actor: null, subject: null } as const
      return cutChains(sql, {
        before,
        entry: (tenant, { seq, hash }) => written({ tenant, ...cut, details: { seq, hash } }),
      })
    },
    verify: (tenant, seen) => verifyChain(sql, tenant, seen),
    close: () => noting.close(),
  }
}
