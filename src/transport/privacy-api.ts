import type { FastifyInstance } from 'fastify'
import type { Consents, Erasures, Exports } from '#governance/privacy.ts'
import { officersPrivacyRoutes, ownPrivacyRoutes } from './routes/privacy.ts'
import type { Routes } from './routing.ts'

export interface PrivacyDeps {
  consents: Pick<Consents, 'list' | 'change'>
  erasures: Pick<Erasures, 'erase' | 'of'>
  exports: Exports
}

/** What people may ask of us about what is theirs. */
export function registerPrivacyApi(server: FastifyInstance, deps: PrivacyDeps): void {
  const routes = server.withTypeProvider() as unknown as Routes
  ownPrivacyRoutes(routes, deps)
  officersPrivacyRoutes(routes, deps)
}
