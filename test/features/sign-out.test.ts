import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { ConfigDocument } from '#config/document.ts'
import type { ErrorBody } from '#errors.ts'
import { partitionOf } from '#identity/principal.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { type EntraApp, startEntraApp } from '../support/entra-app.ts'
import { freePort } from '../support/free-port.ts'
import { collect, nativeClient } from '../support/native-client.ts'
import { type OidcIssuer, startOidcIssuer } from '../support/oidc-issuer.ts'
import { RpcClient } from '../support/rpc-client.ts'
import { startSharedEngines } from '../support/shared-engines.ts'
import { SignInBrowser } from '../support/sign-in-browser.ts'
import { sseEvents } from '../support/sse.ts'
import { type SeenRequest, startUpstream, type Upstream } from '../support/upstream.ts'

const ENDED = 'The session was ended, or the credential was taken away.'

let opened: AsyncDisposableStack
let issuer: OidcIssuer
let upstream: Upstream
let here: EntraApp
let there: EntraApp

/** Two replicas behind one address, which browsers reach the first by. */
before(async () => {
  opened = new AsyncDisposableStack()
  const engines = opened.use(await startSharedEngines())
  upstream = await startUpstream(({ messages }) =>
    isThinking({ body: { messages } }) ? { hang: true } : { tokens: 100_000, pace: 50 },
  )
  opened.defer(() => upstream.close())
  const port = await freePort()
  issuer = opened.use(await startOidcIssuer([`http://127.0.0.1:${port}/auth/callback`]))
  const variables = {
    ...engines.variables,
    PARLEY_EGRESS_HOSTS: upstream.host,
    PARLEY_PUBLIC_URL: `http://127.0.0.1:${port}`,
  }
  const base = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) })
  const ask_first = { description: 'Waits.', parameters: { type: 'object' }, builtin: 'current_time', approval: {} }
  const config = { ...base, actions: { ...base.actions, ask_first } } as ConfigDocument
  here = opened.use(await startEntraApp({ issuer, config, variables: { ...variables, PORT: String(port) } }))
  there = opened.use(await startEntraApp({ issuer, config, variables }))
})
after(() => opened.disposeAsync())

function isThinking({ body }: Pick<SeenRequest, 'body'>): boolean {
  return JSON.stringify(body.messages).includes('think for ever')
}

/** Somebody who has just signed in. */
async function signedIn(roles: readonly string[] = ['Chat.User']): Promise<{ oid: string; browser: SignInBrowser }> {
  const oid = randomUUID()
  issuer.user = { oid, name: 'Ana Silva', roles }
  const browser = new SignInBrowser()
  const { response } = await browser.visit(`${here.url}/auth/login`)
  assert.equal(response?.status, 200)
  return { oid, browser }
}

function headersOf(browser: SignInBrowser): Record<string, string> {
  return { cookie: browser.cookies(here.url), origin: here.url }
}

/** What is noted in the background is not there at once. */
async function until<Result>(look: () => Promise<Result | undefined>): Promise<Result> {
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    await setTimeout(20)
  }
}

/** What a stream said last. */
async function lastOf(response: Response): Promise<unknown> {
  assert.equal(response.status, 200)
  const last = (await collect(sseEvents(response.body))).at(-1)
  return [last?.type, last?.data]
}

async function statusAt(app: EntraApp, headers: Record<string, string>): Promise<number> {
  const response = await fetch(`${app.url}/api/v1/me`, { headers })
  await response.body?.cancel()
  return response.status
}

test('signing out on one replica ends all that streams for the session on another, and nothing of others', async () => {
  const { browser } = await signedIn(['Chat.User', 'Config.Operator'])
  const headers = headersOf(browser)
  const colleague = headersOf((await signedIn()).browser)
  const { call } = nativeClient(there.url)
  const begin = async (who: Record<string, string>) => {
    const { body, status } = await call('POST', '/api/v1/conversations', { specialist: 'plain' }, who)
    assert.equal(status, 201, JSON.stringify(body))
    return fetch(`${there.url}/api/v1/conversations/${body.id}/turns`, {
      method: 'POST',
      headers: { ...who, 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ message: 'go on and on' }),
    })
  }
  const follow = (path: string) => fetch(there.url + path, { headers: { ...headers, accept: 'text/event-stream' } })

  const run = await call(
    'POST',
    '/api/v1/actions/ask_first/runs',
    { arguments: {} },
    { ...headers, prefer: 'respond-async' },
  )
  assert.equal(run.status, 202, JSON.stringify(run.body))
  const turn = await begin(headers)
  const others = await begin(colleague)
  const streams = [
    turn,
    await follow(`/api/v1/runs/${run.body.id}/stream`),
    await follow('/api/v1/config/rollout/stream'),
  ]
  const relayed = await fetch(`${there.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'default', stream: true, messages: [{ role: 'user', content: 'hello' }] }),
  })
  const socket = await RpcClient.connect(there.url, 'plain', {
    headers: { cookie: headers.cookie ?? '' },
    origin: here.url,
  })

  const out = await browser.fetch(`${here.url}/auth/logout`, { method: 'POST', headers: { origin: here.url } })
  assert.equal(out.status, 204)
  for (const stream of streams) {
    assert.deepEqual(await lastOf(stream), ['notice', { code: 'unauthenticated', message: ENDED }])
  }
  assert.match(await relayed.text(), /"code":"unauthenticated"/)
  assert.deepEqual(await socket.closed, { code: 1008, reason: 'credential ended' })
  assert.equal(await statusAt(here, headers), 401)

  const reader = sseEvents(others.body)
  for (let seen = 0; seen < 10; seen++) assert.equal((await reader.next()).done, false)
  assert.equal(await statusAt(there, colleague), 200)
  const cancelled = await call(
    'POST',
    `/api/v1/turns/${others.headers.get('x-parley-turn')}/cancel`,
    undefined,
    colleague,
  )
  assert.equal(cancelled.status, 202)
})

test('who signs out everywhere is out in every browser, and is told how many there were', async () => {
  const { oid, browser } = await signedIn()
  issuer.user = { oid, name: 'Ana Silva', roles: ['Chat.User'] }
  const second = new SignInBrowser()
  await second.visit(`${here.url}/auth/login`)
  const [one, two] = [headersOf(browser), headersOf(second)]
  const others = headersOf((await signedIn()).browser)
  const socket = await RpcClient.connect(there.url, 'plain', { headers: two, origin: here.url })
  assert.equal(await statusAt(here, one), 200)

  const out = await fetch(`${there.url}/api/v1/me/sessions`, { method: 'DELETE', headers: one })
  assert.equal(out.status, 200)
  assert.deepEqual(await out.json(), { ended: 2 })
  assert.match(String(out.headers.get('set-cookie')), /parley-session=; .*Max-Age=0/)
  assert.equal((await socket.closed).reason, 'credential ended')
  // Whoever comes again stays in.
  issuer.user = { oid, name: 'Ana Silva', roles: ['Chat.User'] }
  const third = new SignInBrowser()
  await third.visit(`${here.url}/auth/login`)
  assert.equal(await statusAt(there, headersOf(third)), 200)
  assert.equal(await statusAt(there, others), 200)
  const again = await fetch(`${there.url}/api/v1/me/sessions`, { method: 'DELETE', headers: headersOf(third) })
  assert.deepEqual(await again.json(), { ended: 1 })
})

test('an Admin signs somebody out, of the own tenant alone, and it stands in the audit log', async () => {
  const { oid, browser } = await signedIn()
  const headers = headersOf(browser)
  const socket = await RpcClient.connect(here.url, 'plain', { headers, origin: here.url })
  const { call } = nativeClient(there.url)
  const body = { person: oid }
  const officer = await there.as({ oid: 'officer', roles: ['Chat.User', 'Privacy.Officer', 'Config.Operator'] })
  assert.equal((await call('POST', '/api/v1/people/sign-out', body, officer)).status, 403)
  const guest = await there.as({ oid: 'guest', tenant: issuer.guest, roles: ['Admin'] })
  assert.equal((await call('POST', '/api/v1/people/sign-out', body, guest)).status, 403)
  assert.equal(await statusAt(here, headers), 200)

  const admin = await there.as({ oid: 'admin', roles: ['Admin'] })
  assert.deepEqual((await call('POST', '/api/v1/people/sign-out', body, admin)).body, { ended: 1, tokens: 'revoked' })
  assert.equal((await socket.closed).reason, 'credential ended')
  assert.deepEqual((await call('POST', '/api/v1/people/sign-out', body, admin)).body, { ended: 0, tokens: 'revoked' })
  for (const wrong of [{}, { person: '' }, { person: 'ana@contoso.com' }, { person: oid, more: 1 }]) {
    assert.equal((await call('POST', '/api/v1/people/sign-out', wrong, admin)).status, 400)
  }
  const subject = partitionOf({ tenant: issuer.home.id, id: oid })
  const noted = await until(async () => {
    const { items } = (await call('GET', '/api/v1/audit?kind=sessions.ended', undefined, admin)).body
    const found = items.filter((entry: { subject: string }) => entry.subject === subject)
    return found.length >= 2 ? found : undefined
  })
  assert.deepEqual(
    noted.map(({ actor, details }: { actor: string; details: unknown }) => [actor, details]),
    [0, 1].map((ended) => [partitionOf({ tenant: issuer.home.id, id: 'admin' }), { ended, tokens: 'revoked' }]),
  )
})

test('whoever an Admin signs out calls with no token of before any more, on any replica, and what streams by one ends', async () => {
  const [oid, colleague] = [randomUUID(), randomUUID()]
  const [bearer, others] = [await there.as({ oid }), await there.as({ oid: colleague })]
  const conversation = await nativeClient(there.url).call(
    'POST',
    '/api/v1/conversations',
    { specialist: 'plain' },
    bearer,
  )
  const turn = await fetch(`${there.url}/api/v1/conversations/${conversation.body.id}/turns`, {
    method: 'POST',
    headers: { ...bearer, 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ message: 'go on and on' }),
  })
  const socket = await RpcClient.connect(there.url, 'plain', { headers: bearer })
  const post = (path: string, what: object, accept = 'application/json') =>
    fetch(there.url + path, {
      method: 'POST',
      headers: { ...bearer, 'content-type': 'application/json', accept },
      body: JSON.stringify(what),
    })
  const messages = [{ role: 'user', content: 'think for ever' }]
  const second = await nativeClient(there.url).call('POST', '/api/v1/conversations', { specialist: 'plain' }, bearer)
  const waiting = [
    post(`/api/v1/conversations/${second.body.id}/turns`, { message: 'think for ever' }),
    post('/v1/chat/completions', { model: 'default', messages }),
    post('/v1/chat/completions', { model: 'default', messages, stream: true }),
  ]
  await until(async () => upstream.requests.filter(isThinking).length === 3 || undefined)
  const othersSocket = await RpcClient.connect(there.url, 'plain', { headers: others })
  assert.equal(await statusAt(here, bearer), 200)

  const admin = await here.as({ oid: 'admin', roles: ['Admin'] })
  const { call } = nativeClient(here.url)
  assert.deepEqual((await call('POST', '/api/v1/people/sign-out', { person: oid }, admin)).body, {
    ended: 0,
    tokens: 'revoked',
  })
  const refused = await call('GET', '/api/v1/me', undefined, bearer)
  assert.deepEqual([refused.status, refused.body.error.code], [401, 'unauthenticated'])
  assert.match(refused.body.error.message, /revoked/)
  assert.deepEqual(await lastOf(turn), ['notice', { code: 'unauthenticated', message: ENDED }])
  assert.deepEqual(await socket.closed, { code: 1008, reason: 'credential ended' })
  for (const answer of waiting) {
    const { status, error } = await answer.then(async (each) => ({
      status: each.status,
      ...((await each.json()) as ErrorBody),
    }))
    assert.deepEqual([status, error.code, error.message], [401, 'unauthenticated', ENDED])
  }
  assert.equal(await statusAt(there, bearer), 401)
  // What Entra ID gives them from then on is taken; and they are nobody else.
  const later = await there.as({ oid, claims: { iat: Math.floor(Date.now() / 1000) + 10 } })
  assert.deepEqual([await statusAt(here, later), await statusAt(there, later)], [200, 200])
  assert.deepEqual([await statusAt(here, others), await statusAt(there, others)], [200, 200])
  assert.ok((await othersSocket.call('ping', {})).error === undefined)
  othersSocket.socket.close()
  await othersSocket.closed
})
