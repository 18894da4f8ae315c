import type { FastifyInstance } from 'fastify'
import { officersPrivacyRoutes, ownPrivacyRoutes, type PrivacyDeps } from './routes/privacy.ts'
import type { Routes } from './routing.ts'

/** What people may ask of us about what is theirs. */
export function registerPrivacyApi(server: FastifyInstance, deps: PrivacyDeps): void {
  const routes = server.withTypeProvider() as unknown as Routes
  ownPrivacyRoutes(routes, deps)
  officersPrivacyRoutes(routes, deps)
}
