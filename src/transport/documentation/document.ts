import { STATUS_CODES } from 'node:http'
import fastify, { type FastifyInstance, type RouteOptions } from 'fastify'
import { nameSchemas } from './name-schemas.ts'
import { promised, securitySchemes } from './promises.ts'

/** Of the HTTP API. What would break a client moves its first number that is not zero; a test holds it to that. */
const apiVersion = '0.1.0'

const introduction = `Streaming chat that survives. A turn is a log first and a stream second: read it as it happens, \
resume it anywhere by its last event id, or wait for the whole answer.

Errors have one shape on every surface; their codes are a closed list. Every response carries \`x-request-id\`. \
\`x-roles\` says whom an operation serves: whoever has one of them, or \`any\`, whoever is known.`

/** In the order in which people need them. */
const tags = [
  { name: 'conversations', description: 'What is said to a specialist, and its answers' },
  { name: 'turns', description: 'A message and all that answers it: streamed, resumed, cancelled, judged' },
  { name: 'specialists', description: 'Who there is to talk to' },
  { name: 'openai', description: 'What clients of OpenAI speak' },
  { name: 'actions', description: 'What can be done, with or without a chat' },
  { name: 'runs', description: 'What is done: its state, approvals, dead letters' },
  { name: 'config', description: 'Versions of models, prompts and actions, and their rollout' },
  { name: 'models', description: 'Health, circuits and failovers' },
  { name: 'governance', description: 'Usage, budgets, kill-switches, the audit log' },
  { name: 'keys', description: 'For tools that can hold nothing else' },
  { name: 'privacy', description: 'Consent, export and erasure' },
  { name: 'sign-in', description: 'Sessions of browsers' },
  { name: 'capabilities', description: 'Versions, transports and limits' },
  { name: 'health', description: 'Probes and metrics' },
]

/**
 * A server of its own that knows the routes by their schemas only and has the OpenAPI document, so that the real one need
 * not load what describes it.
 */
export async function describeRoutes(routes: readonly RouteOptions[]): Promise<FastifyInstance> {
  const { default: swagger } = await import('@fastify/swagger')
  const paper = fastify()
  await paper.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Parley', version: apiVersion, description: introduction, license: { name: 'MIT' } },
      components: { securitySchemes },
      tags,
    },
    transformObject: (document) => nameSchemas('openapiObject' in document ? document.openapiObject : {}),
    transform: ({ schema, url }) => ({ schema: { ...schema, response: described(schema.response) }, url }),
  })
  for (const route of routes) {
    const { method, url } = route
    if (!route.schema || route.schema.hide || method === 'HEAD') continue
    const schema = promised(route)
    paper.route({ method, url, schema, handler: () => Promise.reject(new Error('Only described here.')) })
  }
  return paper
}

/** The name of its status says what a response is, unless its schema says more. */
function described(response: unknown): Record<string, unknown> {
  const entries = Object.entries((response ?? {}) as Record<string, { description?: string }>)
  return Object.fromEntries(
    entries.map(([status, reply]) => [
      status,
      { ...reply, 'x-response-description': reply.description ?? STATUS_CODES[status] },
    ]),
  )
}
