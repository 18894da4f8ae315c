import { createHash } from 'node:crypto'
import { configSchema } from '#config/publish-schema.ts'
import { isAtHand } from '../etag.ts'
import type { Routes } from '../routing.ts'
import { empty } from '../schema-replies.ts'

/** Open, because editors that complete by it do not sign in; it is published with the sources as well. */
export function configSchemaRoute(routes: Routes): void {
  const text = configSchema()
  const etag = `"${createHash('sha256').update(text).digest('hex')}"`
  routes.get('/config.schema.json', {
    config: { open: true },
    schema: {
      operationId: 'getConfigSchema',
      summary: 'The JSON Schema of config versions, for editors and for whoever generates them',
      tags: ['config'],
      response: {
        200: { description: 'A JSON Schema.', content: { 'application/schema+json': { schema: {} } } },
        304: empty('It has not changed.'),
      },
    },
    handler: async (request, reply) => {
      reply.header('etag', etag).header('cache-control', 'no-cache')
      if (isAtHand(request, etag)) return reply.code(304).send(null)
      return reply.header('content-type', 'application/schema+json; charset=utf-8').serializer(String).send(text)
    },
  })
}
