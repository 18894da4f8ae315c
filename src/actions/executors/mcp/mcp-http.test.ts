import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { systemClock } from '#platform/clock.ts'
import { createEgressFetch } from '#platform/egress/fetch.ts'
import { manualClock } from '../../../../test/support/clock.ts'
import { freePort } from '../../../../test/support/free-port.ts'
import { correctable, executorsFor, passing, pinOf, until } from '../../../../test/support/mcp-executors.ts'
import { type HttpMcpServerOptions, startMcpServer } from '../../../../test/support/mcp-server.ts'
import { IdentityNeeded, PassingError } from '../executor.ts'

async function serve(context: TestContext, options: HttpMcpServerOptions = {}) {
  const server = await startMcpServer(options)
  context.after(() => server.close())
  return server
}

/** As `fetch` fails where nobody listens. */
function refusedConnection(): TypeError {
  return new TypeError('fetch failed', { cause: Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }) })
}

test('a server that nobody can reach has not done it', async (context) => {
  const { call, lines } = executorsFor(context, { url: `http://127.0.0.1:${await freePort()}/mcp` })
  await assert.rejects(call('echo', { text: 'hello' }), passing('connect_failed', true))
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['MCP server out of reach'],
  )
})

test('one that is out of reach by the second call has not done that', async (context) => {
  const server = await serve(context)
  let away = false
  const call = executorsFor(
    context,
    { url: server.url },
    {
      fetch: (...request) => (away ? Promise.reject(refusedConnection()) : fetch(...request)),
    },
  ).call
  await call('echo', { text: 'hello' })
  away = true
  await assert.rejects(call('echo', { text: 'hello' }), passing('connect_failed', true))
  away = false
  assert.equal(await call('echo', { text: 'again' }), 'again')
})

test('calls that are under way are not disturbed when another finds the server out of reach', async (context) => {
  const server = await serve(context)
  let away = false
  const flaky: typeof fetch = (...request) => (away ? Promise.reject(refusedConnection()) : fetch(...request))
  const { call } = executorsFor(context, { url: server.url }, { fetch: flaky })
  const slow = call('slow', { ms: 100 })
  await until(() => server.facts.includes('slow:began'))
  away = true
  await assert.rejects(call('echo', { text: 'hello' }), passing('connect_failed', true))
  assert.equal(await slow, 'done')
})

test('closing ends also what was under way on a connection that others had given up', async (context) => {
  const server = await serve(context)
  let away = false
  const flaky: typeof fetch = (...request) => (away ? Promise.reject(refusedConnection()) : fetch(...request))
  const { call, kind } = executorsFor(context, { url: server.url }, { fetch: flaky })
  const slow = assert.rejects(call('slow', { ms: 30_000 }), passing('connection_lost', false))
  await until(() => server.facts.includes('slow:began'))
  away = true
  await assert.rejects(call('echo', { text: 'hello' }), passing('connect_failed', true))
  await kind.close?.()
  await slow
})

test('repeated failures give the server a rest, and callers are told for how long', async (context) => {
  const clock = manualClock()
  const { call } = executorsFor(context, { url: `http://127.0.0.1:${await freePort()}/mcp` }, { clock })
  const rest = async () => {
    const error = await call('echo', { text: 'hello' }).catch((thrown: unknown) => thrown)
    assert.ok(error instanceof PassingError)
    assert.equal(error.untouched, true)
    return error.retryAfterMs
  }
  assert.deepEqual([await rest(), await rest()], [undefined, undefined], 'the second try is made at once')
  const restMs = await rest()
  assert.ok(restMs !== undefined && restMs >= 250 && restMs <= 500, String(restMs))
  clock.advance(restMs - 1)
  assert.equal(await rest(), 1)
  clock.advance(1)
  assert.equal(await rest(), undefined, 'and the third when the rest is over')
})

test('a status that refuses says whether and when to try again', async (context) => {
  const server = await serve(context)
  const { call } = executorsFor(context, { url: server.url })
  const echo = () => call('echo', { text: 'hello' })
  server.refuse(429, { 'retry-after': '7' })
  await assert.rejects(echo(), (error: unknown) => passing('rate_limited', true)(error) && hasRetryAfter(error, 7000))
  server.refuse(503, { 'retry-after': 'soon' })
  await assert.rejects(echo(), (error) => passing('unavailable', false)(error) && hasRetryAfter(error, undefined))
  server.refuse(500)
  await assert.rejects(echo(), passing('server_error', false))
  server.refuse(403)
  await assert.rejects(echo(), correctable(/does not allow this/))
  assert.equal(await echo(), 'hello')
  assert.equal(server.facts.length, 1)
})

function hasRetryAfter(error: unknown, ms: number | undefined): boolean {
  assert.equal(error instanceof PassingError && error.retryAfterMs, ms)
  return true
}

test('a session that the server has forgotten is opened anew by the next call', async (context) => {
  const server = await serve(context, { revisions: 'handshake' })
  const { call } = executorsFor(context, { url: server.url })
  await call('echo', { text: 'hello' })
  server.forget()
  await assert.rejects(call('echo', { text: 'lost' }), passing('session_lost', true))
  assert.equal(await call('echo', { text: 'again' }), 'again')
})

test('a redirect to another host is not followed', async (context) => {
  const server = await serve(context)
  const elsewhere = createServer((_, response) => response.writeHead(307, { location: server.url }).end())
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve))
  context.after(() => elsewhere.close())
  const url = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/mcp`
  const { call } = executorsFor(context, { url })
  await assert.rejects(call('echo', { text: 'hello' }), passing('connect_failed', true))
  assert.equal(server.headers.length, 0)
})

test('a server that lets the user in neither at first nor later says so', async (context) => {
  const closed = createServer((_, response) => response.writeHead(401).end())
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve))
  context.after(() => closed.close())
  const url = `http://127.0.0.1:${(closed.address() as AddressInfo).port}/mcp`
  await assert.rejects(executorsFor(context, { url }).call('echo', {}), correctable(/does not allow this/))
})

test('a name that leads to an address which is not permitted is not connected to', async (context) => {
  const server = await serve(context, { streaming: true })
  const url = server.url.replace('127.0.0.1', 'tools.test')
  const callWith = (address: string) => {
    const lookup = async () => [address]
    const rules = { hosts: ['tools.test'], privateRanges: ['127.0.0.1'], clock: systemClock, lookup }
    const guarded = createEgressFetch(rules)
    context.after(() => guarded.close())
    return executorsFor(context, { url }, { fetch: guarded.fetch, permits: () => true }).call
  }
  assert.equal(await callWith('127.0.0.1')('echo', { text: 'hello' }), 'hello')
  await assert.rejects(callWith('127.0.0.2')('echo', { text: 'again' }), correctable(/not permitted here/))
  assert.equal(server.facts.length, 1)
})

test('an answer far beyond its limit is not read to its end', async (context) => {
  const server = await serve(context, { streaming: true })
  const { call } = executorsFor(context, { url: server.url })
  await assert.rejects(call('large', { length: 5_000_000 }), {
    name: 'AnswerLostError',
    message: /more than 262144 bytes/,
  })
  assert.equal(await call('echo', { text: 'hello' }), 'hello')
})

test('a change that is made known disables the tool at once, and taking it back enables it', async (context) => {
  const server = await serve(context)
  const { call } = executorsFor(context, { url: server.url })
  const pin = await pinOf({ url: server.url })
  const status = () => call('service_status', { service: 'desk' }, { pin })
  const { description } = server.plan
  await status()
  const drifted = () => status().then(() => false, correctable(/tool_drifted/))
  server.plan.description = 'Something else.'
  assert.equal(await drifted(), false, 'nobody has said so yet')
  server.toolsChanged()
  await until(drifted)
  server.plan.description = description
  server.toolsChanged()
  await until(() => drifted().then((still) => !still))
})

test('a change that nobody makes known is found within a minute', async (context) => {
  const clock = manualClock()
  const server = await serve(context)
  const { call } = executorsFor(context, { url: server.url }, { clock })
  const pin = await pinOf({ url: server.url })
  const status = () => call('service_status', { service: 'desk' }, { pin })
  await status()
  server.plan.description = 'Something else.'
  clock.advance(59_999)
  assert.deepEqual(await status(), { service: 'desk', status: 'up' })
  clock.advance(1)
  await assert.rejects(status(), correctable(/tool_drifted/))
})

test('each user calls with a token of their own, on a connection of their own', async (context) => {
  const server = await serve(context)
  const spec = { url: server.url, onBehalfOf: 'api://desk/.default' }
  const { call } = executorsFor(context, spec)
  const user = (id: string) => ({
    principal: { tenant: 'home', id, name: id, kind: 'user' as const, roles: [], scopes: [] },
    userToken: async (scope: string) => `${id} for ${scope}`,
  })
  await Promise.all([call('echo', { text: 'a' }, user('ann')), call('echo', { text: 'b' }, user('bob'))])
  const sent = server.headers.filter((headers) => headers['mcp-method'] === 'tools/call')
  const tokens = sent.map(({ authorization }) => authorization).sort()
  assert.deepEqual(tokens, ['Bearer ann for api://desk/.default', 'Bearer bob for api://desk/.default'])
  const before = server.headers.length
  const signedOut = { ...user('ann'), userToken: () => Promise.reject(new IdentityNeeded()) }
  await assert.rejects(call('echo', { text: 'c' }, signedOut), IdentityNeeded)
  assert.equal(server.headers.length, before, 'and without one nothing is sent')
})

test('a connection of which nothing is asked for ten minutes closes itself', async (context) => {
  const clock = manualClock()
  const server = await serve(context)
  const { call, lines } = executorsFor(context, { url: server.url }, { clock })
  const connections = () => lines.filter(({ msg }) => msg === 'MCP server connected').length
  await call('echo', { text: 'one' })
  clock.advance(599_999)
  await call('echo', { text: 'two' })
  clock.advance(599_999)
  await call('echo', { text: 'three' })
  assert.equal(connections(), 1)
  clock.advance(600_000)
  await call('echo', { text: 'four' })
  assert.equal(connections(), 2)
})

test('nothing is called once the executors are closed', async (context) => {
  const server = await serve(context)
  const { call, kind } = executorsFor(context, { url: server.url })
  const slow = call('slow', { ms: 30_000 })
  slow.catch(() => {})
  await until(() => server.facts.includes('slow:began'))
  await kind.close?.()
  await assert.rejects(slow, passing('connection_lost', false))
})
