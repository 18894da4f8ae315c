import type { Audit, Link } from '#governance/audit.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { AuditPage, AuditQuery, AuditVerdict, VerifyQuery } from '../schema-records.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'

const tags = ['governance']

export function auditRoutes(routes: Routes, audit: Pick<Audit, 'list' | 'verify'>): void {
  routes.get('/api/v1/audit', {
    config: whom.auditors,
    schema: {
      operationId: 'listAudit',
      summary: 'What was done in the tenant that somebody may have to answer for, newest first',
      tags,
      querystring: AuditQuery,
      response: { 200: AuditPage, ...errors(400, 401, 403, 503) },
    },
    handler: async (request) => {
      const { tenant } = principalOf(request)
      const { kind, cursor, limit = 50 } = request.query
      // Past every entry is past every entry, also where a database has no number for it.
      const before = cursor && Math.min(cursor, Number.MAX_SAFE_INTEGER)
      const page = { limit, ...(kind && { kind }), ...(before !== undefined && { before }) }
      const items = await audit.list(tenant, page)
      return { items, next: items.length === limit ? (items.at(-1)?.seq ?? null) : null }
    },
  })

  routes.get('/api/v1/audit/verify', {
    config: whom.auditors,
    schema: {
      operationId: 'verifyAudit',
      summary: 'Whether nothing in the audit log of the tenant was changed, moved or taken out',
      description:
        'Reads all of it. That its end was not cut off together with the record of where it ends shows by an entry that was seen before.',
      tags,
      querystring: VerifyQuery,
      response: { 200: AuditVerdict, ...errors(400, 401, 403, 503) },
    },
    handler: (request) => audit.verify(principalOf(request).tenant, linkOf(request.query.seen)),
  })
}

function linkOf(seen: string | undefined): Link | undefined {
  if (seen === undefined) return undefined
  const [seq, hash = ''] = seen.split(':')
  return { seq: Number(seq), hash }
}
