import type { FastifyInstance } from 'fastify'
import { ParleyError } from '#errors.ts'
import { whom } from '../whom.ts'
import { describeRoutes } from './document.ts'

/** `/openapi.json` and `/docs` for all routes that have a schema. Loaded when first asked for; all of it is served from here. */
export function registerDocs(server: FastifyInstance): void {
  let opening: Promise<FastifyInstance> | undefined
  server.addHook('onClose', async () => {
    await (await opening)?.close()
  })
  for (const url of ['/openapi.json', '/docs', '/docs/*']) {
    // To open it takes a while, which alone may be the load that a replica takes nothing new for.
    server.get(url, { config: { ...whom.known, vital: true }, schema: { hide: true } }, async (request, reply) => {
      opening ??= openDocs(server)
      const docs = await opening
      reply.hijack()
      for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value ?? '')
      docs.routing(request.raw, reply.raw)
    })
  }
}

const contentSecurityPolicy = [
  "default-src 'self'",
  "img-src 'self' data:",
  "style-src 'self' 'unsafe-inline'",
  "object-src 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

async function openDocs(server: FastifyInstance): Promise<FastifyInstance> {
  const docs = await describeRoutes(server.routeList)
  const { default: swaggerUi } = await import('@fastify/swagger-ui')
  await docs.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: contentSecurityPolicy,
    // No badge from another server, and no bar that leads to other documents.
    uiConfig: { validatorUrl: null, layout: 'BaseLayout' },
    theme: { title: 'Parley API', favicon: [] },
  })
  docs.setNotFoundHandler((_request, reply) => {
    const requestId = String(reply.raw.getHeader('x-request-id'))
    return reply.code(404).send(new ParleyError('not_found').toBody(requestId))
  })
  docs.get('/openapi.json', { schema: { hide: true } }, async () => docs.swagger())
  await docs.ready()
  return docs
}
