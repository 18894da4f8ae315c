import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import type { ActionSpec, HttpExecutorSpec } from '#config/action-spec.ts'
import { systemClock } from '#platform/clock.ts'
import { capturedLog } from '../../../../test/support/captured-log.ts'
import { chatConfig } from '../../../../test/support/chat-config.ts'
import { executorContext } from '../../../../test/support/executor-context.ts'
import { httpExecutors } from '../../../../test/support/http-executors.ts'
import { httpTarget } from '../../../../test/support/http-target.ts'
import { type ExecutorContext, IdentityNeeded } from '../executor.ts'

const { log } = capturedLog()
const kind = httpExecutors({ hosts: ['127.0.0.1'], privateRanges: [] }, systemClock, log)

/** As a file says it, before its shape is known. */
type Written = Omit<HttpExecutorSpec, 'method'> & { method: string }

function specOf(http: Written, more: Partial<ActionSpec> = {}): ActionSpec {
  return { description: 'd', parameters: {}, http: http as HttpExecutorSpec, ...more }
}

async function run(
  http: Written,
  args: Record<string, unknown> = {},
  change: Partial<ExecutorContext> = {},
  more: Partial<ActionSpec> = {},
): Promise<unknown> {
  return await kind.executorOf(chatConfig({}), 'act', specOf(http, more))?.(args, executorContext(change))
}

const json = (response: ServerResponse, value: unknown, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))

test('a call goes out with its arguments, key, trace and the user, and its JSON comes back', async () => {
  await using target = await httpTarget((_request, response) => json(response, { number: 7 }, 201))
  const scopes: string[] = []
  const userToken = async (scope: string) => {
    scopes.push(scope)
    return 'token-of-user'
  }
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const value = await run(
    {
      method: 'POST',
      url: `${target.origin}/t/{id}?q={q}`,
      headers: { 'X-Tenant': '{id}' },
      body: { title: '{q}', n: '{n}', gone: '{gone}' },
      onBehalfOf: 'api://desk/.default',
    },
    { id: 'a b', q: 'ü&', n: 5 },
    { key: 'turn_1/0/1', traceparent, userToken },
  )
  assert.deepEqual(value, { number: 7 })
  assert.deepEqual(scopes, ['api://desk/.default'])
  assert.deepEqual(target.requests, [
    {
      method: 'POST',
      url: '/t/a%20b?q=%C3%BC%26',
      headers: {
        host: `127.0.0.1:${target.port}`,
        connection: 'close',
        accept: 'application/json, text/*;q=0.9, */*;q=0.1',
        'accept-encoding': 'identity',
        'content-type': 'application/json',
        'content-length': '21',
        'x-tenant': 'a b',
        'user-agent': 'parley',
        'idempotency-key': 'turn_1/0/1',
        traceparent,
        authorization: 'Bearer token-of-user',
      },
      body: '{"title":"ü&","n":5}',
    },
  ])
})

test('without a body of its own, a call that has one carries all arguments', async () => {
  await using target = await httpTarget((_request, response) => response.end())
  const args = JSON.parse('{"id":"x","nested":{"__proto__":{"admin":true}}}')
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'GET']) {
    assert.equal(await run({ method, url: `${target.origin}/{id}` }, args), null)
  }
  const bodies = target.requests.map(({ method, body, headers }) => [method, body, headers['content-type']])
  const whole = JSON.stringify(args)
  assert.deepEqual(bodies, [
    ['POST', whole, 'application/json'],
    ['PUT', whole, 'application/json'],
    ['PATCH', whole, 'application/json'],
    ['DELETE', '', undefined],
    ['GET', '', undefined],
  ])
})

test('a DELETE that gives a body sends it, and a version may name the content type', async () => {
  await using target = await httpTarget((_request, response) => response.end('ok'))
  const headers = { 'Content-Type': 'application/merge-patch+json', ACCEPT: 'text/plain' }
  assert.equal(await run({ method: 'DELETE', url: target.origin, headers, body: ['{a}'] }, { a: null }), 'ok')
  const [request] = target.requests
  assert.equal(request?.body, '[null]')
  assert.equal(request?.headers['content-type'], 'application/merge-patch+json')
  assert.equal(request?.headers.accept, 'text/plain')
})

test('a text of 1 MB arrives whole in a body, and is refused where it would be an address or a header', async () => {
  await using target = await httpTarget(({ body }, response) => json(response, body.length))
  const a = 'ä"'.repeat(524_288)
  assert.equal(await run({ method: 'POST', url: target.origin, body: '{a}' }, { a }), JSON.stringify(a).length)
  const refused = { name: 'CorrectableError' }
  await assert.rejects(run({ method: 'POST', url: `${target.origin}/{a}` }, { a }), refused)
  await assert.rejects(run({ method: 'POST', url: `${target.origin}/?a={a}` }, { a }), refused)
  await assert.rejects(
    run({ method: 'POST', url: target.origin, headers: { 'x-a': '{a}' } }, { a: 'a'.repeat(1_048_576) }),
    refused,
  )
  assert.equal(target.requests.length, 1)
})

test('what would break out of its place is refused before anything is sent, or even begun', async () => {
  await using target = await httpTarget((_request, response) => response.end())
  const begin = async () => assert.fail('begun')
  const places: [string, string, string][] = [
    ['/t/{a}', '', '../admin'],
    ['/t/{a}/notes', '', '..'],
    ['/t/{a}', '', 'x\\..\\y'],
    ['/', 'v-{a}', 'x\r\nauthorization: Bearer stolen'],
    ['/', 'v-{a}', 'x\r\n\r\nGET /admin HTTP/1.1'],
  ]
  for (const [path, header, a] of places) {
    const headers: Record<string, string> = header ? { 'x-a': header } : {}
    const calling = run({ method: 'POST', url: target.origin + path, headers }, { a }, { begin })
    await assert.rejects(calling, { name: 'CorrectableError' })
  }
  assert.equal(target.requests.length, 0)
  const a = '?admin=1#x@evil.example:80 \r\nHost: evil'
  await run({ method: 'POST', url: `${target.origin}/t/{a}?q={a}`, body: {} }, { a })
  const [request] = target.requests
  const url = new URL(request?.url ?? '', target.origin)
  assert.deepEqual([decodeURIComponent(url.pathname), [...url.searchParams], url.hash], [`/t/${a}`, [['q', a]], ''])
  assert.equal(request?.headers.host, `127.0.0.1:${target.port}`)
})

test('the fence is checked before a write is sent, not for a read', async () => {
  await using target = await httpTarget((_request, response) => response.end('ok'))
  const seen: number[] = []
  const begin = async () => {
    seen.push(target.requests.length)
  }
  const http = { method: 'GET', url: target.origin }
  await run(http, {}, { begin }, { access: 'write' })
  await run(http, {}, { begin })
  await run(http, {}, { begin }, { access: 'read' })
  assert.deepEqual(seen, [0, 1])
  const lost = new Error('the run is lost')
  await assert.rejects(run(http, {}, { begin: () => Promise.reject(lost) }), lost)
  assert.equal(target.requests.length, 3)
})

test('without a token of the user nothing is sent, and nothing else takes its place', async () => {
  await using target = await httpTarget((_request, response) => response.end())
  const userToken = () => Promise.reject(new IdentityNeeded())
  const begin = async () => assert.fail('begun')
  const http = { method: 'POST', url: target.origin, onBehalfOf: 'api://desk/.default' }
  await assert.rejects(run(http, {}, { userToken, begin }), { name: 'IdentityNeeded' })
  assert.equal(target.requests.length, 0)
})

test('a dry run goes to its own address, with the same method and body, and begins nothing', async () => {
  await using target = await httpTarget((_request, response) => json(response, { would: 'open a ticket' }))
  const http = {
    method: 'POST',
    url: `${target.origin}/tickets`,
    headers: { 'x-a': '{title}' },
    body: { t: '{title}' },
    onBehalfOf: 'api://desk/.default',
    dryRun: { url: `${target.origin}/preview?for={title}` },
  }
  const begin = async () => assert.fail('begun')
  const context = executorContext({ begin, userToken: async () => 'token' })
  const value = await kind.dryRunOf?.(chatConfig({}), 'act', specOf(http))?.({ title: 'x' }, context)
  assert.deepEqual(value, { would: 'open a ticket' })
  const [{ method, url, body, headers } = assert.fail('nothing was sent')] = target.requests
  assert.deepEqual([method, url, body], ['POST', '/preview?for=x', '{"t":"x"}'])
  assert.deepEqual(
    [headers['x-a'], headers.authorization, headers['idempotency-key']],
    ['x', 'Bearer token', undefined],
  )
  const without = specOf({ method: 'POST', url: target.origin })
  assert.equal(kind.dryRunOf?.(chatConfig({}), 'act', without), undefined)
})

test('a version that was never valid is not executed', () => {
  const http = { method: 'POST', url: 'https://{host}/' }
  assert.throws(() => kind.executorOf(chatConfig({}), 'act', specOf(http)), /not valid/)
})
