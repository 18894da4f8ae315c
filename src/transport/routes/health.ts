import type { Routes } from '../routing.ts'
import { Health } from '../schema.ts'

/** `ready` names what keeps this replica from serving; undefined when nothing does. */
export function healthRoutes(routes: Routes, ready: () => string | undefined): void {
  routes.get('/health/live', {
    config: { open: true, vital: true },
    schema: { operationId: 'isLive', summary: 'The process runs', tags: ['health'], response: { 200: Health } },
    handler: async () => ({ status: 'ok' as const }),
  })

  routes.get('/health/ready', {
    config: { open: true, vital: true },
    schema: {
      operationId: 'isReady',
      summary: 'This replica can serve; not so only for faults of its own',
      tags: ['health'],
      response: { 200: Health, 503: Health },
    },
    handler: async (_request, reply) => {
      const reason = ready()
      if (reason === undefined) return { status: 'ok' as const }
      return reply.code(503).send({ status: 'unavailable', reason })
    },
  })
}
