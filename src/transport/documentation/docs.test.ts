import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from 'typebox'
import { ParleyError } from '#errors.ts'
import { startTransport, type TransportServerOptions } from '../../../test/support/transport-server.ts'
import { whom } from '../whom.ts'
import { registerDocs } from './docs.ts'

interface Described {
  openapi: string
  paths: Record<string, { get: { responses: Record<string, object>; security?: object[] } }>
  components: { schemas: Record<string, object> }
}

const start = (options: TransportServerOptions = {}) =>
  startTransport((server) => {
    registerDocs(server)
    const Thing = Type.Object({ id: Type.String() }, { title: 'Thing' })
    const schema = { operationId: 'getThing', response: { 200: Thing } }
    server.get('/things/:id', { config: whom.operators, schema }, async () => ({}))
    server.get('/health/thing', { config: { open: true }, schema: { response: { 200: Thing } } }, () => ({}))
    server.get('/undescribed', async () => ({}))
  }, options)

test('nobody reads it who is not known', async () => {
  await using transport = await start({ authenticate: () => Promise.reject(new ParleyError('unauthenticated')) })
  for (const path of ['/openapi.json', '/docs', '/docs/static/swagger-ui.css']) {
    assert.equal((await fetch(transport.url + path)).status, 401, path)
  }
})

test('the document describes the routes that have a schema, whenever they were registered', async () => {
  await using transport = await start()
  const response = await fetch(`${transport.url}/openapi.json`)
  assert.equal(response.status, 200)
  assert.match(String(response.headers.get('x-request-id')), /^req_/)
  const document = (await response.json()) as Described
  assert.equal(document.openapi, '3.1.0')
  const { responses, ...described } = document.paths['/things/{id}']?.get ?? { responses: {} }
  assert.deepEqual(described, {
    operationId: 'getThing',
    parameters: [{ schema: { type: 'string' }, in: 'path', name: 'id', required: true }],
    security: [{ token: [] }, { header: [] }, { session: [] }],
    'x-roles': ['Config.Operator', 'Admin'],
  })
  const schema = { $ref: '#/components/schemas/Thing' }
  assert.deepEqual(responses[200], { description: 'OK', content: { 'application/json': { schema } } })
  assert.deepEqual(document.components.schemas.Thing, {
    type: 'object',
    required: ['id'],
    properties: { id: { type: 'string' } },
  })
})

test('what comes before every route of its kind is in the document, though no route says so', async () => {
  await using transport = await start()
  const response = await fetch(`${transport.url}/openapi.json`)
  const { paths } = (await response.json()) as Described
  const statuses = (path: string) => Object.keys(paths[path]?.get.responses ?? {})
  assert.deepEqual(statuses('/things/{id}'), ['200', '400', '401', '403', '404', '429', '503'])
  assert.deepEqual(statuses('/health/thing'), ['200'])
  assert.deepEqual(paths['/health/thing']?.get.security, [])
})

test('the page and all that it loads come from here, however busy it is, and may load nothing from elsewhere', async () => {
  const checkLoad = () => {
    throw new ParleyError('overloaded')
  }
  await using transport = await start({ checkLoad })
  const page = await fetch(`${transport.url}/docs`)
  assert.equal(page.status, 200)
  assert.match(String(page.headers.get('content-security-policy')), /^default-src 'self'; /)
  const html = await page.text()
  const references = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(
    ([, address]) => new URL(address ?? '', page.url),
  )
  assert.ok(references.length >= 5)
  assert.match(html, /<title>Parley API<\/title>/)
  for (const reference of references) {
    assert.equal(reference.origin, transport.url)
    const asset = await fetch(reference)
    assert.equal(asset.status, 200, reference.href)
    await asset.arrayBuffer()
  }
  const initializer = await (await fetch(`${transport.url}/docs/static/swagger-initializer.js`)).text()
  assert.match(initializer, /"validatorUrl":null/)
  assert.match(initializer, /"layout":"BaseLayout"/)
})

test('what is not there is answered in the one shape', async () => {
  await using transport = await start()
  const response = await fetch(`${transport.url}/docs/nowhere`)
  assert.equal(response.status, 404)
  const { error } = (await response.json()) as { error: { code: string; request_id: string } }
  assert.equal(error.code, 'not_found')
  assert.equal(error.request_id, response.headers.get('x-request-id'))
})

test('HEAD works as GET does', async () => {
  await using transport = await start()
  for (const path of ['/openapi.json', '/docs']) {
    assert.equal((await fetch(transport.url + path, { method: 'HEAD' })).status, 200, path)
  }
})
