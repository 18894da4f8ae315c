import type { FastifyInstance } from 'fastify'
import type { Audit } from '#governance/audit.ts'
import type { SignIn } from '#identity/sign-in.ts'
import { registerDocs } from './documentation/docs.ts'
import type { NativeDeps } from './native-deps.ts'
import { actionRoutes } from './routes/actions.ts'
import { capabilitiesRoute } from './routes/capabilities.ts'
import { conversationRoutes } from './routes/conversations.ts'
import { healthRoutes } from './routes/health.ts'
import { meRoute } from './routes/me.ts'
import { metricsRoute } from './routes/metrics.ts'
import { modelRoutes } from './routes/models.ts'
import { runDecisionRoutes } from './routes/run-decisions.ts'
import { runRepairRoutes } from './routes/run-repairs.ts'
import { runUndoRoute } from './routes/run-undo.ts'
import { runRoutes } from './routes/runs.ts'
import { specialistRoutes } from './routes/specialists.ts'
import { turnRoutes } from './routes/turns.ts'
import type { Routes } from './routing.ts'
import { type Revoke, revokeRoute } from './sign-in/revoke-route.ts'
import { signInRoutes } from './sign-in/sign-in-routes.ts'
import { signOutRoute } from './sign-in/sign-out-route.ts'

/** All that a replica serves that only executes runs. */
export function registerHealth(server: FastifyInstance, ready: NativeDeps['ready']): void {
  healthRoutes(server.withTypeProvider() as unknown as Routes, ready)
}

/** Sign-in of browsers, where Entra ID knows us. */
export function registerSignIn(server: FastifyInstance, signIn: SignIn, note: Audit['note']): void {
  const routes = server.withTypeProvider() as unknown as Routes
  signInRoutes(routes, signIn)
  signOutRoute(routes, signIn, note)
}

/** What takes a person's access away, where there is Entra ID. */
export function registerRevoking(server: FastifyInstance, revoke: Revoke, note: Audit['note']): void {
  revokeRoute(server.withTypeProvider() as unknown as Routes, revoke, note)
}

export function registerMetrics(server: FastifyInstance, scrape: () => Promise<string>): void {
  metricsRoute(server.withTypeProvider() as unknown as Routes, scrape)
}

/** Parley's own HTTP API: conversations, turns, actions and their runs, and who there is to talk to; and the documentation of all routes. */
export function registerNativeApi(server: FastifyInstance, deps: NativeDeps): void {
  const routes = server.withTypeProvider() as unknown as Routes
  healthRoutes(routes, deps.ready)
  capabilitiesRoute(routes, deps.version, deps.limits)
  specialistRoutes(routes, deps)
  conversationRoutes(routes, deps)
  turnRoutes(routes, deps)
  actionRoutes(routes, deps)
  runRoutes(routes, deps)
  runDecisionRoutes(routes, deps)
  runRepairRoutes(routes, deps.actions)
  runUndoRoute(routes, deps)
  modelRoutes(routes, deps)
  meRoute(routes)
  registerDocs(server)
}
