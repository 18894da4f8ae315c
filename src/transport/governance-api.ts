import type { FastifyInstance } from 'fastify'
import type { KillSwitches } from '#governance/kill-switches.ts'
import { killSwitchRoutes } from './routes/kill-switches.ts'
import type { Routes } from './routing.ts'

/** What those reach who look after spending, and stop what must not go on. */
export function registerGovernanceApi(server: FastifyInstance, { killSwitches }: { killSwitches: KillSwitches }): void {
  const routes = server.withTypeProvider() as unknown as Routes
  killSwitchRoutes(routes, killSwitches)
}
