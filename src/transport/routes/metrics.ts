import { METRICS_TYPE } from '../metrics-server.ts'
import type { Routes } from '../routing.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'

export function metricsRoute(routes: Routes, scrape: () => Promise<string>): void {
  routes.get('/metrics', {
    config: { ...whom.operators, vital: true },
    schema: {
      operationId: 'getMetrics',
      summary: 'The metrics of this replica, in the text format of Prometheus',
      description:
        'For Config.Operator and Admin. A collector that does not sign in reads them at PARLEY_METRICS_PORT.',
      tags: ['health'],
      response: {
        200: { description: 'The metrics.', content: { 'text/plain': { schema: { type: 'string' } } } },
        ...errors(401, 403),
      },
    },
    handler: async (_request, reply) =>
      reply
        .header('content-type', METRICS_TYPE)
        .serializer(String)
        .send(await scrape()),
  })
}
