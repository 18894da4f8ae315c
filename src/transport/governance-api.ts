import type { FastifyInstance } from 'fastify'
import type { Budgets } from '#governance/budgets.ts'
import type { KillSwitches } from '#governance/kill-switches.ts'
import { budgetRoutes } from './routes/budgets.ts'
import { killSwitchRoutes } from './routes/kill-switches.ts'
import type { Routes } from './routing.ts'

/** What those reach who look after spending, and stop what must not go on. */
interface GovernanceDeps {
  budgets: Budgets
  killSwitches: KillSwitches
}

export function registerGovernanceApi(server: FastifyInstance, { budgets, killSwitches }: GovernanceDeps): void {
  const routes = server.withTypeProvider() as unknown as Routes
  budgetRoutes(routes, budgets)
  killSwitchRoutes(routes, killSwitches)
}
