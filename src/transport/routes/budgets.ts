import { type Static, Type } from 'typebox'
import { ParleyError } from '#errors.ts'
import type { Budgets, BudgetView } from '#governance/budgets.ts'
import { etagOf, versionToMatch } from '../etag.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { checkReason } from '../run-answers.ts'
import { nullable } from '../schema-parts.ts'
import { empty, errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'

const tags = ['governance']
const MOST_USD = 1_000_000_000
const MINUTE_MS = 60_000
const LONGEST_OVERRIDE_MINUTES = 7 * 24 * 60

const Usd = Type.Number({ minimum: 0, maximum: MOST_USD })
const Period = Type.Enum(['day', 'month'], { description: 'Of the calendar, by UTC.' })

const Budget = Type.Object(
  {
    scope: Type.String({ description: '`tenant:<tenant>`, `group:<tenant>:<id>` or `user:<tenant>:<id>`.' }),
    limitUsd: Usd,
    period: Period,
    spentUsd: Type.Number(),
    reservedUsd: Type.Number({ description: 'The most that calls under way may cost.' }),
    override: nullable(
      Type.Object({ addUsd: Usd, until: Type.String({ format: 'date-time' }), reason: Type.String() }),
    ),
    version: Type.Integer(),
  },
  { title: 'Budget' },
)

const ScopePath = Type.Object({ scope: Type.String({ minLength: 1, maxLength: 400 }) })
const VersionToMatch = Type.Object({
  'if-match': Type.Optional(Type.String({ description: 'The `etag` of what is to be changed.' })),
})
const reply = { description: 'The budget.', content: { 'application/json': { schema: Budget } } }

/** What tenants, groups and users may spend, for Finance.Operator and Admin of the home tenant. */
export function budgetRoutes(routes: Routes, budgets: Budgets): void {
  routes.get('/api/v1/budgets', {
    config: whom.finance,
    schema: {
      operationId: 'listBudgets',
      summary: 'All budgets, and what is spent of them',
      tags,
      response: { 200: Type.Object({ items: Type.Array(Budget) }, { title: 'BudgetPage' }), ...errors(401, 403, 503) },
    },
    handler: async () => ({ items: (await budgets.list()).map(present) }),
  })

  routes.put('/api/v1/budgets/:scope', {
    config: whom.finance,
    schema: {
      operationId: 'setBudget',
      summary: 'Set what a tenant, an Entra group or a user may spend',
      description: 'A budget that exists is changed with the `if-match` of what was seen.',
      tags,
      params: ScopePath,
      headers: VersionToMatch,
      body: Type.Object({ limitUsd: Usd, period: Period }, { additionalProperties: false }),
      response: { 200: reply, ...errors(400, 401, 403, 404, 412, 413, 415, 428, 503) },
    },
    handler: async (request, answer) => {
      const { scope } = request.params
      const budget = await budgets.set(principalOf(request), scope, request.body, versionToMatch(request))
      return answer.header('etag', etagOf(budget)).send(present(budget))
    },
  })

  routes.put('/api/v1/budgets/:scope/override', {
    config: whom.finance,
    schema: {
      operationId: 'overrideBudget',
      summary: 'For a stated amount and time, more than the budget',
      description: 'What was cut off may go on. Kept in the audit log.',
      tags,
      params: ScopePath,
      headers: VersionToMatch,
      body: Type.Object(
        {
          addUsd: Usd,
          minutes: Type.Integer({ minimum: 1, maximum: LONGEST_OVERRIDE_MINUTES }),
          reason: Type.String({ minLength: 1, maxLength: 500 }),
        },
        { additionalProperties: false },
      ),
      response: { 200: reply, ...errors(400, 401, 403, 404, 412, 413, 415, 428, 503) },
    },
    handler: async (request, answer) => {
      const { addUsd, minutes, reason } = request.body
      const until = Date.now() + minutes * MINUTE_MS
      const override = { addUsd, until, reason: checkReason(reason, 'reason') }
      const version = seenVersion(versionToMatch(request))
      const budget = await budgets.override(principalOf(request), request.params.scope, override, version)
      return answer.header('etag', etagOf(budget)).send(present(budget))
    },
  })

  routes.delete('/api/v1/budgets/:scope', {
    config: whom.finance,
    schema: {
      operationId: 'removeBudget',
      summary: 'Spend without this bound',
      tags,
      params: ScopePath,
      headers: VersionToMatch,
      response: { 204: empty('It is gone.'), ...errors(400, 401, 403, 404, 412, 428, 503) },
    },
    handler: async (request, answer) => {
      await budgets.remove(principalOf(request), request.params.scope, seenVersion(versionToMatch(request)))
      return answer.code(204).send(null)
    },
  })
}

function seenVersion(version: number | undefined): number {
  if (version === undefined) throw new ParleyError('precondition_required', { param: 'if-match' })
  return version
}

function present({ override, ...budget }: BudgetView): Static<typeof Budget> {
  return {
    ...budget,
    override: override && { ...override, until: new Date(override.until).toISOString() },
  }
}
