import type { FastifyInstance } from 'fastify'
import type { Shadows } from '#config/shadow.ts'
import type { Log } from '#log.ts'
import type { ServedConfig } from './config-deps.ts'
import { configDecisionRoutes } from './routes/config-decisions.ts'
import { configEventRoutes } from './routes/config-events.ts'
import { configPushRoute } from './routes/config-push.ts'
import { configRolloutRoutes } from './routes/config-rollout.ts'
import { configSchemaRoute } from './routes/config-schema.ts'
import { configShadowRoutes } from './routes/config-shadow.ts'
import { configVersionRoutes } from './routes/config-versions.ts'
import type { Routes } from './routing.ts'

/** Config versions and their rollout, for operators. */
export function registerConfigApi(server: FastifyInstance, config: ServedConfig, log: Log): void {
  const routes = server.withTypeProvider() as unknown as Routes
  configVersionRoutes(routes, config)
  configPushRoute(routes, config)
  configRolloutRoutes(routes, config, log)
  configDecisionRoutes(routes, config)
  if (config.env.eventGridKey !== undefined) configEventRoutes(routes, config)
  configSchemaRoute(routes)
}

/** Versions that are tried on copies of live turns. */
export function registerShadowApi(server: FastifyInstance, shadows: Shadows): void {
  configShadowRoutes(server.withTypeProvider() as unknown as Routes, shadows)
}
