import type { FastifyInstance } from 'fastify'
import type { Audit } from '#governance/audit.ts'
import type { Budgets } from '#governance/budgets.ts'
import type { KillSwitches } from '#governance/kill-switches.ts'
import { auditRoutes } from './routes/audit.ts'
import { budgetRoutes } from './routes/budgets.ts'
import { keyRoutes, type ManagedKeys } from './routes/keys.ts'
import { killSwitchRoutes } from './routes/kill-switches.ts'
import { type UsageDeps, usageRoute } from './routes/usage.ts'
import type { Routes } from './routing.ts'

/** What those reach who look after spending, stop what must not go on, and give keys to tools. */
interface GovernanceDeps extends UsageDeps {
  budgets: Budgets
  killSwitches: KillSwitches
  audit: Audit
  keys: ManagedKeys
}

export function registerGovernanceApi(server: FastifyInstance, deps: GovernanceDeps): void {
  const { budgets, killSwitches, audit, keys } = deps
  const routes = server.withTypeProvider() as unknown as Routes
  budgetRoutes(routes, budgets)
  killSwitchRoutes(routes, killSwitches)
  usageRoute(routes, deps)
  auditRoutes(routes, audit)
  keyRoutes(routes, keys)
}
