import type { FastifyInstance } from 'fastify'
import type { Routes } from '../routing.ts'
import type { OpenAiDeps } from './completion-call.ts'
import { completionsRoute } from './completions-route.ts'
import { modelsRoutes } from './models-routes.ts'

/** What every OpenAI client speaks. */
export function registerOpenAiApi(server: FastifyInstance, deps: OpenAiDeps): void {
  const routes = server.withTypeProvider() as unknown as Routes
  modelsRoutes(routes, deps.chat)
  completionsRoute(routes, deps)
}
