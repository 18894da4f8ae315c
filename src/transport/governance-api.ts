import type { FastifyInstance } from 'fastify'
import type { Audit } from '#governance/audit.ts'
import type { Budgets } from '#governance/budgets.ts'
import type { KillSwitches } from '#governance/kill-switches.ts'
import { auditRoutes } from './routes/audit.ts'
import { budgetRoutes } from './routes/budgets.ts'
import { killSwitchRoutes } from './routes/kill-switches.ts'
import { type UsageDeps, usageRoute } from './routes/usage.ts'
import type { Routes } from './routing.ts'

/** What those reach who look after spending, and stop what must not go on. */
interface GovernanceDeps extends UsageDeps {
  budgets: Budgets
  killSwitches: KillSwitches
  audit: Audit
}

export function registerGovernanceApi(server: FastifyInstance, deps: GovernanceDeps): void {
  const { budgets, killSwitches, audit } = deps
  const routes = server.withTypeProvider() as unknown as Routes
  budgetRoutes(routes, budgets)
  killSwitchRoutes(routes, killSwitches)
  usageRoute(routes, deps)
  auditRoutes(routes, audit)
}
