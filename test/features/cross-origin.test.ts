import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { ErrorBody } from '#errors.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { type EntraApp, startEntraApp } from '../support/entra-app.ts'
import { RawClient } from '../support/raw-client.ts'
import { RpcClient, refusedHandshake } from '../support/rpc-client.ts'
import { startUpstream } from '../support/upstream.ts'

/** Pages of other origins, as browsers speak for them. */

const LISTED = 'https://shop.example'
const FOREIGN = 'https://evil.example'

const opened = new AsyncDisposableStack()
let app: EntraApp
let token: Record<string, string>

before(async () => {
  const upstream = opened.adopt(await startUpstream(), (mock) => mock.close())
  app = opened.use(
    await startEntraApp({
      config: chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) }),
      variables: { PARLEY_EGRESS_HOSTS: upstream.host, PARLEY_CORS_ORIGINS: `http://localhost:5173,${LISTED}` },
    }),
  )
  token = await app.as({ oid: randomUUID() })
})
after(() => opened.disposeAsync())

const ask = (path: string, headers: Record<string, string>, init: RequestInit = {}) =>
  fetch(app.url + path, { ...init, headers })

function question(path: string, origin: string, method = 'POST', asked = 'authorization,content-type') {
  return ask(
    path,
    { origin, 'access-control-request-method': method, 'access-control-request-headers': asked },
    { method: 'OPTIONS' },
  )
}

async function refusalOf(answer: Response): Promise<[status: number, code: string]> {
  const { error } = (await answer.json()) as ErrorBody
  return [answer.status, error.code]
}

const allowedOf = ({ headers }: Response) => headers.get('access-control-allow-origin')

test('a browser that asks for a page of the list is told what may be sent', async () => {
  for (const [path, methods] of [
    ['/v1/chat/completions', 'POST'],
    ['/api/v1/conversations', 'GET, HEAD, POST'],
    ['/api/v1/conversations/conv_x?y=z', 'DELETE, GET, HEAD, PATCH'],
  ] as const) {
    const answer = await question(path, LISTED, 'POST', 'authorization,x-stainless-lang')
    assert.equal(answer.status, 204, await answer.text())
    assert.equal(allowedOf(answer), LISTED)
    assert.equal(answer.headers.get('access-control-allow-methods'), methods)
    assert.equal(answer.headers.get('access-control-allow-headers'), 'authorization,x-stainless-lang')
    assert.equal(answer.headers.get('access-control-allow-credentials'), null)
    assert.match(String(answer.headers.get('vary')), /origin.*access-control-request-headers/)
  }
})

test('a browser that asks for any other page is told nothing', async () => {
  for (const origin of [
    FOREIGN,
    'null',
    'http://shop.example',
    'https://shop.example.evil.example',
    `${LISTED}:8443`,
  ]) {
    const answer = await question('/v1/chat/completions', origin)
    assert.deepEqual(await refusalOf(answer), [403, 'cross_site'], origin)
    assert.equal(allowedOf(answer), null)
    assert.equal(answer.headers.get('access-control-allow-methods'), null)
  }
})

test('what is not there is not there for a question either, and what is no question is answered as ever', async () => {
  const nowhere = await question('/nowhere', LISTED)
  assert.deepEqual(await refusalOf(nowhere), [404, 'not_found'])
  const plain = await ask('/v1/models', { origin: LISTED }, { method: 'OPTIONS' })
  assert.deepEqual(await refusalOf(plain), [405, 'method_not_allowed'])
  assert.equal(allowedOf(plain), LISTED)
})

test('answers, streams and errors name the origin of the list, and what the page may read', async () => {
  const json = { ...token, 'content-type': 'application/json' }
  const chat = (stream: boolean, headers: Record<string, string>) =>
    ask('/v1/chat/completions', headers, {
      method: 'POST',
      body: JSON.stringify({ model: 'plain', stream, messages: [{ role: 'user', content: 'Hello' }] }),
    })
  const answers: [status: number, asked: Promise<Response>][] = [
    [200, ask('/api/v1/me', { ...token, origin: LISTED })],
    [200, chat(false, { ...json, origin: LISTED })],
    [200, chat(true, { ...json, origin: LISTED })],
    [401, ask('/api/v1/me', { origin: LISTED })],
    [403, ask('/metrics', { ...token, origin: LISTED })],
    [404, ask('/nowhere', { origin: LISTED })],
    [404, ask('/api/v1/turns/turn_x', { ...token, origin: LISTED })],
    [400, ask('/api/v1/turns/%ff', { ...token, origin: LISTED })],
    [415, chat(false, { ...token, 'content-type': 'text/plain', origin: LISTED })],
  ]
  for (const [status, asked] of answers) {
    const answer = await asked
    await answer.text()
    assert.deepEqual([answer.status, allowedOf(answer)], [status, LISTED], answer.url)
    assert.match(String(answer.headers.get('vary')), /origin/)
    const exposed = String(answer.headers.get('access-control-expose-headers')).split(', ')
    for (const name of ['x-request-id', 'x-ratelimit-remaining-requests', 'retry-after', 'x-parley-config', 'etag']) {
      assert.ok(exposed.includes(name), name)
    }
  }
})

test('every header of our own that a page is answered with can be read by it', async () => {
  const answer = await ask(
    '/v1/chat/completions',
    { ...token, 'content-type': 'application/json', origin: LISTED },
    {
      method: 'POST',
      body: JSON.stringify({ model: 'helper', messages: [{ role: 'user', content: 'Hello' }] }),
    },
  )
  await answer.text()
  const exposed = String(answer.headers.get('access-control-expose-headers')).split(', ')
  const own = [...answer.headers.keys()].filter((name) => name.startsWith('x-') && name !== 'x-content-type-options')
  assert.ok(own.includes('x-parley-turn') && own.includes('x-ratelimit-limit-requests'), own.join())
  assert.deepEqual(
    own.filter((name) => !exposed.includes(name)),
    [],
  )
})

test('a page of no list may spend a token that it was given, and reads nothing of the answer', async () => {
  const answer = await ask('/api/v1/me', { ...token, origin: FOREIGN })
  await answer.text()
  assert.equal(allowedOf(answer), null)
  assert.equal(answer.headers.get('vary'), 'origin', 'or a cache would give the answer of one to the other')
})

test('a WebSocket with a token opens for pages of the list, for our own, and for what is no page', async () => {
  for (const origin of [LISTED, app.url, undefined]) {
    const client = await RpcClient.connect(app.url, 'plain', { headers: { ...token, ...(origin && { origin }) } })
    assert.equal((await client.call('ping')).result, 'pong')
    await client.close()
  }
  for (const origin of [FOREIGN, 'null', 'http://shop.example', '']) {
    const { status, body } = await refusedHandshake(app.url, 'plain', { headers: { ...token, origin } })
    assert.deepEqual([status, body.error.code], [403, 'cross_site'], origin)
  }
})

test('an origin that is sent twice is none of the list', async () => {
  const client = new RawClient(Number(new URL(app.url).port))
  client.send(
    `GET /health/live HTTP/1.1\r\nhost: a\r\norigin: ${LISTED}\r\norigin: ${FOREIGN}\r\nconnection: close\r\n\r\n`,
  )
  const answer = await client.untilClosed()
  assert.match(answer, /^HTTP\/1\.1 200/)
  assert.doesNotMatch(answer, new RegExp(`access-control-allow-origin: (?!${LISTED})`, 'i'))
})
