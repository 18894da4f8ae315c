/**
 * An internal tool, for config-versions/examples/tools.yaml: how services are doing, and announcements. It honours the
 * Idempotency-Key, so an announcement that is tried again is made once.
 *
 *     npx node config-versions/examples/http-tool.mjs      # on http://127.0.0.1:9080
 */
import { createServer } from 'node:http'

const PORT = 9080
const MAX_BYTES = 64 * 1024
const SERVICES = { billing: 'up', mail: 'degraded', vpn: 'down' }

/** By Idempotency-Key. */
const announcements = new Map()

const openApi = {
  openapi: '3.1.0',
  info: { title: 'Announcements', version: '1' },
  servers: [{ url: `http://127.0.0.1:${PORT}` }],
  paths: {
    '/announcements': {
      post: {
        operationId: 'announce',
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: {
                type: 'object',
                required: ['text'],
                additionalProperties: false,
                properties: { text: { type: 'string', maxLength: 500 } },
              },
            },
          },
        },
        responses: { 201: { description: 'It is announced.' } },
      },
    },
  },
}

createServer(async (request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    process.stdout.write(`${request.method} ${request.url} ${status}\n`)
  }
  const { pathname } = new URL(request.url ?? '/', `http://127.0.0.1:${PORT}`)
  if (request.method === 'GET' && pathname === '/openapi.json') return answer(200, openApi)

  const service = /^\/services\/([a-z]+)$/.exec(pathname)?.[1]
  if (request.method === 'GET' && service !== undefined) {
    if (!Object.hasOwn(SERVICES, service)) return answer(404, { error: `No service ${service}.` })
    return answer(200, { service, status: SERVICES[service] })
  }

  if (request.method === 'POST' && pathname === '/announcements') {
    const announcement = await readJson(request)
    if (typeof announcement?.text !== 'string') return answer(400, { error: 'An announcement needs a text.' })
    const key = request.headers['idempotency-key'] ?? crypto.randomUUID()
    if (!announcements.has(key)) announcements.set(key, { number: announcements.size + 1, text: announcement.text })
    return answer(201, announcements.get(key))
  }
  return answer(404, { error: 'There is nothing here.' })
}).listen(PORT, '127.0.0.1', () => process.stdout.write(`The tool listens on http://127.0.0.1:${PORT}\n`))

/** Undefined for what is too long or no JSON. */
async function readJson(request) {
  let text = ''
  for await (const chunk of request) {
    text += chunk
    if (text.length > MAX_BYTES) return undefined
  }
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
