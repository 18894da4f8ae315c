import type { TransportLimits } from '../limits.ts'
import type { Routes } from '../routing.ts'
import { Capabilities } from '../schema.ts'
import { whom } from '../whom.ts'

/** Open, because a client has to know what it talks to before it can sign in. */
export function capabilitiesRoute(routes: Routes, version: string, limits: TransportLimits): void {
  routes.get('/api/capabilities', {
    config: whom.known,
    schema: {
      operationId: 'getCapabilities',
      summary: 'What this server speaks, and its limits',
      tags: ['capabilities'],
      response: { 200: Capabilities },
    },
    handler: async () => ({
      version,
      apis: [
        { name: 'native' as const, path: '/api/v1' },
        { name: 'openai' as const, path: '/v1' },
        { name: 'websocket' as const, path: '/ws/v1' },
      ],
      streaming: ['sse' as const, 'websocket' as const],
      limits,
    }),
  })
}
