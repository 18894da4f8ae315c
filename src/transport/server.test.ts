import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { type ErrorBody, ParleyError } from '#errors.ts'
import type { Role } from '#identity/principal.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { manualClock } from '../../test/support/clock.ts'
import { caller, startTransport } from '../../test/support/transport-server.ts'
import { defaultLimits } from './limits.ts'
import { principalOf } from './request-context.ts'
import { createServer } from './server.ts'

const Body = Type.Object(
  {
    text: Type.String({ maxLength: 5 }),
    kind: Type.Optional(Type.Enum(['a', 'b'])),
    list: Type.Optional(Type.Array(Type.Object({ 'a/b': Type.Integer() }))),
  },
  { additionalProperties: false },
)

function routes(server: FastifyInstance): void {
  server.post('/echo', { schema: { body: Body } }, async (request) => request.body)
  server.post('/bare', async (request) => ({ body: request.body ?? null }))
  server.get('/who', async (request) => ({ id: principalOf(request).id, traceparent: request.traceparent }))
  server.get('/open', { config: { open: true } }, async (request) => ({ principal: request.principal }))
  server.get('/things/:id', async (request) => request.params)
  server.put('/things/:id', async (request) => request.params)
  server.get('/busy', () => Promise.reject(new ParleyError('overloaded', { retryAfterMs: 1200 })))
  server.get('/bug', () => Promise.reject(new Error('secret detail')))
  server.get('/query', { schema: { querystring: Type.Object({ n: Type.Integer() }) } }, async ({ query }) => query)
}

test('who takes long to send a body is asked again who they are', async () => {
  const clock = manualClock()
  const asked = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let isOut = false
  let times = 0
  await using transport = await startTransport(routes, {
    clock,
    authenticate() {
      asked[times++]?.resolve()
      if (isOut) throw new ParleyError('unauthenticated')
      return { principal: caller }
    },
  })
  const head = 'POST /bare HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n'
  const [quick, slow] = [transport.raw(), transport.raw()]
  quick.send(`${head}connection: close\r\n\r\n{`)
  await asked[0]?.promise
  slow.send(`${head}connection: close\r\n\r\n{`)
  await asked[1]?.promise
  clock.advance(249)
  isOut = true
  assert.match(await quick.send('}').untilClosed(), /^HTTP\/1\.1 200/)
  clock.advance(1)
  assert.match(await slow.send('}').untilClosed(), /^HTTP\/1\.1 401/)
  assert.equal(times, 3)
})

interface Answer {
  status: number
  headers: Headers
  body: ErrorBody
}

async function ask(url: string, init?: RequestInit): Promise<Answer> {
  const response = await fetch(url, init)
  return { status: response.status, headers: response.headers, body: (await response.json()) as ErrorBody }
}

const post = (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body,
})

function assertFault(answer: Answer, status: number, code: string, param: string | null = null): void {
  assert.equal(answer.status, status, JSON.stringify(answer.body))
  const { error } = answer.body
  assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'request_id', 'type'])
  assert.equal(error.code, code)
  assert.equal(error.param, param)
  assert.equal(error.request_id, answer.headers.get('x-request-id'))
  assert.match(String(answer.headers.get('content-type')), /^application\/json/)
}

test('every response carries a request id: the caller’s, or a new one', async () => {
  await using transport = await startTransport(routes)
  const own = await fetch(`${transport.url}/who`, { headers: { 'x-request-id': 'mine-1' } })
  assert.equal(own.headers.get('x-request-id'), 'mine-1')
  const given = await fetch(`${transport.url}/who`, { headers: { 'x-request-id': '<b>' } })
  assert.match(String(given.headers.get('x-request-id')), /^req_[0-9a-f]{32}$/)
  assert.equal(given.headers.get('cache-control'), 'no-store')
})

test('the principal and a valid traceparent reach the handler', async () => {
  await using transport = await startTransport(routes)
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const valid = await fetch(`${transport.url}/who`, { headers: { traceparent } })
  assert.deepEqual(await valid.json(), { id: 'caller', traceparent })
  const broken = await fetch(`${transport.url}/who`, { headers: { traceparent: '00-xyz' } })
  assert.deepEqual(await broken.json(), { id: 'caller', traceparent: null })
})

test('a route that declares nothing needs a principal; an open one does not', async () => {
  const refuse = () => Promise.reject(new ParleyError('unauthenticated'))
  await using later = await startTransport(routes, { authenticate: refuse })
  assertFault(await ask(`${later.url}/who`), 401, 'unauthenticated')
  assert.deepEqual(await (await fetch(`${later.url}/open`)).json(), { principal: null })
  await using atOnce = await startTransport(routes, {
    authenticate: () => {
      throw new ParleyError('cross_site')
    },
  })
  assertFault(await ask(`${atOnce.url}/who`), 403, 'cross_site')
  assertFault(await ask(`${atOnce.url}/echo`, post('not json')), 403, 'cross_site')
})

test('an authenticator that fails is our fault, and says nothing of why', async () => {
  await using transport = await startTransport(routes, { authenticate: () => Promise.reject(new Error('keys of idp')) })
  const answer = await ask(`${transport.url}/who`)
  assertFault(answer, 500, 'internal')
  assert.doesNotMatch(answer.body.error.message, /idp/)
  assert.equal(transport.logged.length, 1)
})

test('an unknown address is 404, a known one with another method is 405 with what it allows', async () => {
  await using transport = await startTransport(routes)
  assertFault(await ask(`${transport.url}/nowhere`), 404, 'not_found')
  assertFault(await ask(`${transport.url}/things`), 404, 'not_found')
  const refused = await ask(`${transport.url}/things/1?x=y`, { method: 'DELETE' })
  assertFault(refused, 405, 'method_not_allowed')
  assert.equal(refused.headers.get('allow'), 'GET, HEAD, PUT')
  assertFault(await ask(`${transport.url}/echo`, { method: 'OPTIONS' }), 405, 'method_not_allowed')
  assertFault(await ask(`${transport.url}/things/${'x'.repeat(101)}`), 404, 'not_found')
})

test('a body has to be JSON by its type, charset and encoding', async () => {
  await using transport = await startTransport(routes)
  const body = '{"text":"hi"}'
  const types = ['text/plain', 'application/xml', 'application/json; charset=latin1', 'multipart/form-data', 'nonsense']
  for (const type of types) {
    assertFault(await ask(`${transport.url}/echo`, post(body, { 'content-type': type })), 415, 'unsupported_media_type')
  }
  assertFault(
    await ask(`${transport.url}/echo`, post(body, { 'content-encoding': 'gzip' })),
    415,
    'unsupported_media_type',
  )
  for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"']) {
    const response = await fetch(`${transport.url}/echo`, post(body, { 'content-type': type }))
    assert.deepEqual(await response.json(), { text: 'hi' }, type)
  }
})

test('says where a body stops being JSON, and repeats none of it', async () => {
  await using transport = await startTransport(routes)
  const answer = await ask(`${transport.url}/echo`, post('{"text": secret}'))
  assertFault(answer, 400, 'bad_json')
  assert.equal(answer.body.error.message, 'The body is not valid JSON at position 9.')
  assertFault(await ask(`${transport.url}/echo`, post('{"text":"\u0001"}')), 400, 'bad_json')
  assertFault(await ask(`${transport.url}/echo`, post('{"text":')), 400, 'bad_json')
})

test('refuses bytes that are not UTF-8 instead of replacing them', async () => {
  await using transport = await startTransport(routes)
  const broken = [[0xff], [0xc3], [0xe2, 0x82], [0xc0, 0xaf], [0xed, 0xa0, 0x80]].map((bytes) =>
    Uint8Array.from([...Buffer.from('{"text":"'), ...bytes, ...Buffer.from('"}')]),
  )
  for (const body of broken) assertFault(await ask(`${transport.url}/echo`, post(body)), 400, 'bad_json')
  const sound = await fetch(`${transport.url}/echo`, post('\ufeff{"text":"€👍"}'))
  assert.deepEqual(await sound.json(), { text: '€👍' })
})

test('refuses keys that reach for a prototype, and takes those that only look like it', async () => {
  await using transport = await startTransport(routes)
  const poison = ['{"__proto__":{"x":1}}', '{"a":[{"\\u005f_proto__":1}]}', '{"constructor":{"prototype":{}}}']
  for (const body of poison) assertFault(await ask(`${transport.url}/bare`, post(body)), 400, 'invalid_request')
  const harmless = '{"constructor":{"type":"string"},"text":"__proto__"}'
  assert.deepEqual(await (await fetch(`${transport.url}/bare`, post(harmless))).json(), { body: JSON.parse(harmless) })
})

test('names the parameter at fault as a path', async () => {
  await using transport = await startTransport(routes)
  const cases: [body: string, param: string | null][] = [
    ['{}', 'text'],
    ['{"text":1}', 'text'],
    ['{"text":"123456"}', 'text'],
    ['{"text":"a","kind":"c"}', 'kind'],
    ['{"text":"a","more":1}', 'more'],
    ['{"text":"a","list":[{"a/b":1},{"a/b":"2"}]}', 'list.1.a/b'],
    ['{"text":"a","list":[{}]}', 'list.0.a/b'],
    ['[]', null],
    ['null', null],
    ['', null],
  ]
  for (const [body, param] of cases) {
    assertFault(await ask(`${transport.url}/echo`, post(body)), 400, 'invalid_request', param)
  }
  assertFault(await ask(`${transport.url}/query?n=x`), 400, 'invalid_request', 'n')
  assert.deepEqual(await (await fetch(`${transport.url}/query?n=7`)).json(), { n: 7 })
})

test('a body is taken up to its limit, and refused one byte later', async () => {
  await using transport = await startTransport(routes, { limits: { bodyBytes: 100 } })
  const exact = JSON.stringify({ a: 'x'.repeat(92) })
  assert.equal(exact.length, 100)
  assert.equal((await fetch(`${transport.url}/bare`, post(exact))).status, 200)
  assertFault(await ask(`${transport.url}/bare`, post(`${exact} `)), 413, 'body_too_large')
})

test('an empty body is none where none is needed', async () => {
  await using transport = await startTransport(routes)
  assert.deepEqual(await (await fetch(`${transport.url}/bare`, { method: 'POST' })).json(), { body: null })
  assert.deepEqual(await (await fetch(`${transport.url}/bare`, post(''))).json(), { body: null })
})

test('broken percent-encoding is refused in paths and queries', async () => {
  await using transport = await startTransport(routes)
  for (const path of ['/things/%ff', '/things/%', '/who?a=%ff', '/who?a=%e2%82', '/who?a=%zz']) {
    assertFault(await ask(transport.url + path), 400, 'invalid_request')
  }
  assert.equal((await fetch(`${transport.url}/who?a=%e2%82%ac+b`)).status, 200)
})

test('a retryable refusal says when to come again, in whole seconds', async () => {
  await using transport = await startTransport(routes)
  const answer = await ask(`${transport.url}/busy`)
  assertFault(answer, 503, 'overloaded')
  assert.equal(answer.headers.get('retry-after'), '2')
})

test('a bug is answered without its details and logged once with them, never with the query', async () => {
  await using transport = await startTransport(routes)
  const answer = await ask(`${transport.url}/bug?message=private`)
  assertFault(answer, 500, 'internal')
  assert.doesNotMatch(JSON.stringify(answer.body), /secret detail/)
  assert.equal(transport.logged.length, 1)
  const [line] = transport.logged
  assert.equal(line?.msg, 'Request failed')
  assert.equal(line.requestId, answer.body.error.request_id)
  assert.match(JSON.stringify(line), /secret detail/)
  assert.doesNotMatch(JSON.stringify(line), /private/)
})

test('requests leave no line in the log, but at level debug one without their query', async () => {
  await using quiet = await startTransport(routes, { logLevel: 'info' })
  await fetch(`${quiet.url}/who?message=private`)
  assert.deepEqual(quiet.logged, [])
  await using talkative = await startTransport(routes, { logLevel: 'debug' })
  await fetch(`${talkative.url}/things/private?message=private`)
  assert.equal(talkative.logged.length, 1)
  const [line] = talkative.logged
  assert.equal(line?.route, '/things/:id')
  assert.equal(line.status, 200)
  assert.doesNotMatch(JSON.stringify(line), /private/)
})

test('a route that does not say whom it serves keeps the server from starting', async () => {
  const server = createServer({
    log: createLog('silent'),
    clock: systemClock,
    limits: defaultLimits,
    authenticator: { authenticate: () => ({ principal: caller }) },
  })
  server.get('/silent', async () => ({}))
  await assert.rejects(async () => server.ready(), /GET \/silent does not say whom it serves/)
  await server.close()
})

test('a route serves callers with one of its roles, and no others', async () => {
  const statusFor = async (...roles: Role[]) => {
    await using transport = await startTransport(
      (server) => server.get('/', { config: { roles: ['Config.Operator', 'Admin'] } }, async () => ({})),
      { authenticate: () => ({ principal: { ...caller, roles } }) },
    )
    return (await fetch(transport.url)).status
  }
  assert.equal(await statusFor('Chat.User', 'Admin'), 200)
  assert.equal(await statusFor('Chat.User', 'Action.Approver', 'Finance.Operator', 'Privacy.Officer'), 403)
  assert.equal(await statusFor(), 403)
})
