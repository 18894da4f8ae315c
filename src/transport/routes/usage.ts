import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { ParleyError } from '#errors.ts'
import type { Audit } from '#governance/audit.ts'
import type { Ledger, LedgerEntry, Period } from '#governance/ledger.ts'
import { type Principal, partitionOf } from '#identity/principal.ts'
import type { Clock } from '#platform/clock.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { UsageQuery, usageReply } from '../schema-records.ts'
import { errors } from '../schema-replies.ts'
import { usageCsv } from '../usage-csv.ts'
import { whom } from '../whom.ts'

export interface UsageDeps {
  ledger: Pick<Ledger, 'usage' | 'total' | 'entries'>
  audit: Pick<Audit, 'record'>
  clock: Clock
}

export function usageRoute(routes: Routes, { ledger, audit, clock }: UsageDeps): void {
  routes.get('/api/v1/usage', {
    config: whom.known,
    schema: {
      operationId: 'getUsage',
      summary: 'What was spent in a month',
      description:
        "One's own; that of the tenant, and as CSV every call of a model in it, is for Finance.Operator. It adds up to the receipts of the turns.",
      tags: ['governance'],
      querystring: UsageQuery,
      response: { 200: usageReply, ...errors(400, 401, 403, 503) },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request)
      const { tenant } = principal
      const { month = monthOf(clock.now()), whose = 'mine', format = 'json' } = request.query
      if (whose === 'tenant' || format === 'csv') financeOnly(principal)
      const period = periodOf(month)
      if (format === 'json') {
        const user = partitionOf(principal)
        const by = whose === 'mine' ? { user } : {}
        const [total, items] = await Promise.all([ledger.total(tenant, by, period), ledger.usage(tenant, by, period)])
        return reply.send({ month, whose, total, items })
      }
      await audit.record({ tenant, kind: 'usage.exported', actor: partitionOf(principal), subject: month })
      return sendCsv(reply, month, await begun(ledger.entries(tenant, period)))
    },
  })
}

function sendCsv(reply: FastifyReply, month: string, pages: AsyncIterable<LedgerEntry[]>): FastifyReply {
  return reply
    .type('text/csv; charset=utf-8')
    .header('content-disposition', `attachment; filename="parley-usage-${month}.csv"`)
    .send(Readable.from(usageCsv(pages)))
}

function financeOnly({ roles }: Principal): void {
  if (roles.some((role) => role === 'Finance.Operator' || role === 'Admin')) return
  throw new ParleyError('forbidden', { message: 'This takes one of the roles Finance.Operator, Admin.' })
}

function monthOf(at: number): string {
  return new Date(at).toISOString().slice(0, 7)
}

function periodOf(month: string): Period {
  const [year = 0, number = 0] = month.split('-').map(Number)
  return { from: Date.UTC(year, number - 1), to: Date.UTC(year, number) }
}

/** Its first page is there: what fails before it is answered as an error, not as a file that breaks off. */
async function begun(pages: AsyncIterable<LedgerEntry[]>): Promise<AsyncIterable<LedgerEntry[]>> {
  const iterator = pages[Symbol.asyncIterator]()
  const first = await iterator.next()
  return (async function* () {
    try {
      for (let page = first; !page.done; page = await iterator.next()) yield page.value
    } finally {
      await iterator.return?.()
    }
  })()
}
