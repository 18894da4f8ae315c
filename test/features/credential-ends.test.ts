import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import type { ConfigDocument } from '#config/document.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { type EntraApp, startEntraApp } from '../support/entra-app.ts'
import { freePort } from '../support/free-port.ts'
import { type HttpTarget, httpTarget } from '../support/http-target.ts'
import { collect, nativeClient } from '../support/native-client.ts'
import { type OidcIssuer, startOidcIssuer } from '../support/oidc-issuer.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RpcClient } from '../support/rpc-client.ts'
import { SignInBrowser } from '../support/sign-in-browser.ts'
import { type SseEvent, sseEvents } from '../support/sse.ts'
import { startUpstream } from '../support/upstream.ts'

const EXPIRED = { code: 'unauthenticated', message: 'The credential has expired; resume with a new one.' }

let opened: AsyncDisposableStack
let issuer: OidcIssuer
let desk: HttpTarget
let app: EntraApp

before(async () => {
  opened = new AsyncDisposableStack()
  const port = await freePort()
  issuer = opened.use(await startOidcIssuer([`http://127.0.0.1:${port}/auth/callback`]))
  desk = opened.use(
    await httpTarget((_request, response) => {
      response.setHeader('content-type', 'application/json').end('{"opened":true}')
    }),
  )
  const postgres = opened.use(await sharedPostgres())
  const upstream = await startUpstream(({ messages }) => {
    const said = JSON.stringify(messages)
    if (!said.includes('the desk')) return { tokens: 100_000, pace: 50 }
    if (said.includes('"role":"tool"')) return { pieces: ['It waits for you.'] }
    // Long after a stream is looked at for whether its credential has ended.
    return { firstDelayMs: 3000, toolCalls: [{ name: 'open_ticket', arguments: '{"title":"mine"}' }] }
  })
  opened.defer(() => upstream.close())
  const base = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) }, { firstTokenTimeoutMs: 30_000 })
  const approvers = { roles: ['Action.Approver'] }
  const config = {
    ...base,
    specialists: {
      ...base.specialists,
      desk: { title: 'Desk', instructions: 'Answer.', route: 'default', actions: ['open_ticket'] },
    },
    actions: {
      ...base.actions,
      ask_first: {
        description: 'Waits.',
        parameters: { type: 'object' },
        builtin: 'current_time',
        approval: approvers,
      },
      open_ticket: {
        description: 'Opens a ticket.',
        parameters: { type: 'object', additionalProperties: false, properties: { title: { type: 'string' } } },
        http: { method: 'POST', url: `${desk.origin}/tickets`, onBehalfOf: 'api://desk/.default' },
        effect: 'idempotent',
      },
    },
  } as ConfigDocument
  app = opened.use(
    await startEntraApp({
      issuer,
      config,
      variables: {
        PORT: String(port),
        DATABASE_URL: await postgres.createDatabase(),
        PARLEY_EGRESS_HOSTS: `${upstream.host},127.0.0.1:${desk.port}`,
      },
      overrides: { limits: { heartbeatMs: 300 } },
    }),
  )
})
after(() => opened.disposeAsync())

const now = () => Math.floor(Date.now() / 1000)

async function waitingRun(headers: Record<string, string>): Promise<{ id: string; hash: string }> {
  const { call } = nativeClient(app.url)
  const asked = await call('POST', '/api/v1/actions/ask_first/runs', { arguments: {} }, headers)
  assert.equal(asked.status, 202, JSON.stringify(asked.body))
  assert.equal(asked.body.status, 'awaiting-approval')
  return { id: asked.body.id, hash: asked.body.argumentsHash }
}

test('streams of turns, runs and rollouts, and WebSockets, end with the token that they were opened with', async () => {
  const oid = randomUUID()
  const lasting = await app.as({ oid, roles: ['Chat.User', 'Config.Operator'] })
  const { call } = nativeClient(app.url)
  const { body: conversation } = await call('POST', '/api/v1/conversations', { specialist: 'plain' }, lasting)
  const run = await waitingRun(lasting)
  // Over, and within what clocks may differ by: it lets in, and the stream ends at the next look.
  const ending = await app.as({ oid, roles: ['Chat.User', 'Config.Operator'], claims: { exp: now() - 20 } })
  const headers = { ...ending, accept: 'text/event-stream' }
  const turn = await fetch(`${app.url}/api/v1/conversations/${conversation.id}/turns`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ message: 'go on and on' }),
  })
  const streams = [
    turn,
    await fetch(`${app.url}/api/v1/runs/${run.id}/stream`, { headers }),
    await fetch(`${app.url}/api/v1/config/rollout/stream`, { headers }),
  ]
  const socket = await RpcClient.connect(app.url, 'plain', { headers: ending })
  for (const stream of streams) {
    assert.equal(stream.status, 200)
    const last = (await collect(sseEvents(stream.body))).at(-1)
    assert.deepEqual([last?.type, last?.data], ['notice', EXPIRED])
  }
  assert.deepEqual(await socket.closed, { code: 1008, reason: 'credential expired' })

  const id = turn.headers.get('x-parley-turn')
  const resumed = await fetch(`${app.url}/api/v1/turns/${id}/stream`, {
    headers: { ...lasting, accept: 'text/event-stream' },
  })
  assert.equal(resumed.status, 200)
  const reader = sseEvents(resumed.body)
  assert.equal((await reader.next()).done, false)
  assert.equal((await call('POST', `/api/v1/turns/${id}/cancel`, undefined, lasting)).status, 202)
  assert.equal((await Array.fromAsync(reader)).at(-1)?.type, 'turn.cancelled')
  assert.equal(
    (await call('GET', '/api/v1/me', undefined, await app.as({ oid, claims: { exp: now() - 61 } }))).status,
    401,
  )
})

test('a token that expires in the middle of a turn: the turn ends typed, and its action waits for the user rather than run', async () => {
  const oid = randomUUID()
  const { call } = nativeClient(app.url)
  const ending = await app.as({ oid, claims: { exp: now() - 20 } })
  const { body: conversation } = await call('POST', '/api/v1/conversations', { specialist: 'desk' }, ending)
  const turn = await fetch(`${app.url}/api/v1/conversations/${conversation.id}/turns`, {
    method: 'POST',
    headers: { ...ending, 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ message: 'ask the desk' }),
  })
  const last = (await collect(sseEvents(turn.body))).at(-1)
  assert.deepEqual([last?.type, last?.data], ['notice', EXPIRED])

  const back = await app.as({ oid, claims: { exp: now() + 100 } })
  const resumed = await fetch(`${app.url}/api/v1/turns/${turn.headers.get('x-parley-turn')}/stream`, {
    headers: { ...back, accept: 'text/event-stream' },
  })
  const events: SseEvent[] = []
  for await (const event of sseEvents(resumed.body)) {
    events.push(event)
    if (event.type !== 'run' || Object(event.data).status !== 'awaiting-identity') continue
    assert.equal(desk.requests.length, 0)
    // The user is back for long enough: what waited is done, in their name.
    assert.equal((await call('GET', '/api/v1/me', undefined, await app.as({ oid }))).status, 200)
  }
  const runs = events.filter(({ type }) => type === 'run').map(({ data }) => Object(data))
  assert.ok(
    runs.some(({ status }) => status === 'awaiting-identity'),
    JSON.stringify(runs),
  )
  assert.equal(events.at(-1)?.type, 'turn.completed')
  // In this turn, or after it had told that it waits.
  const lasting = await app.as({ oid })
  for (;;) {
    const { body } = await call('GET', `/api/v1/runs/${runs[0].id}`, undefined, lasting)
    if (body.status === 'succeeded') break
    await pause(20)
  }
  assert.deepEqual(
    desk.requests.map(({ headers }) => decodeJwt(String(headers.authorization).replace('Bearer ', '')).oid),
    [oid],
  )
})

test('who has lost the role decides nothing any more: by token, and by session as soon as its token is renewed', async () => {
  const { call } = nativeClient(app.url)
  const owner = await app.as({ oid: randomUUID() })
  const run = await waitingRun(owner)
  const approve = (headers: Record<string, string>) =>
    call('POST', `/api/v1/runs/${run.id}/approve`, { hash: run.hash }, headers)
  const approver = randomUUID()
  const may = ['Chat.User', 'Action.Approver']
  const seen = (headers: Record<string, string>) => call('GET', `/api/v1/runs/${run.id}`, undefined, headers)
  assert.equal((await seen(await app.as({ oid: approver, roles: may }))).status, 200)
  const lost = await approve(await app.as({ oid: approver }))
  assert.equal(lost.status, 404, JSON.stringify(lost.body))

  issuer.lifetimeS = 240
  issuer.user = { oid: approver, name: 'Ana', roles: may }
  const browser = new SignInBrowser()
  await browser.visit(`${app.url}/auth/login`)
  const session = { cookie: browser.cookies(app.url), origin: app.url }
  assert.equal((await seen(session)).status, 200)
  issuer.user = { oid: approver, name: 'Ana', roles: ['Chat.User'] }
  for (let look = 0; look < 2000 && (await seen(session)).status === 200; look++) await pause(25)
  assert.equal((await approve(session)).status, 404)
  issuer.lifetimeS = 3600
  assert.equal((await seen(owner)).body.status, 'awaiting-approval')

  const another = await approve(await app.as({ oid: randomUUID(), roles: may }))
  assert.equal(another.status, 200, JSON.stringify(another.body))
})
