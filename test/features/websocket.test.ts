import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { TurnEvent } from '#chat/turn-events.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { collect, nativeClient, textOf } from '../support/native-client.ts'
import { RpcClient, refusedHandshake, type TurnNotification } from '../support/rpc-client.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

let upstream: Upstream
let app: TestApp
let http: ReturnType<typeof nativeClient>

before(async () => {
  upstream = await startUpstream()
  app = await startApp({
    config: chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) }),
    variables: { PARLEY_EGRESS_HOSTS: upstream.host },
  })
  http = nativeClient(app.url)
})

after(async () => {
  await app.stop()
  await upstream.close()
})

const asRead = (events: readonly TurnNotification['params'][]) =>
  events.map(({ id, event, data }) => ({ id: id ?? undefined, type: event as TurnEvent['type'], data }))

test('a chat over WebSocket streams the same events that the turn has over HTTP', async () => {
  const client = await RpcClient.connect(app.url)
  const { result } = await client.call('chat', { message: 'mock: tokens=40 pace=400' })
  const events = asRead(await client.eventsOf(result?.turn))
  assert.equal(textOf(events), madeUpPieces(40).join(''))
  assert.deepEqual(events, await collect(await http.resume(String(result?.turn))))
  const { body } = await http.call('GET', `/api/v1/conversations/${result?.conversation}`)
  assert.deepEqual([body.specialist, body.config, body.messages], ['plain', result?.config, 2])
  await client.close()
})

test('the turns of a connection share its conversation, and the next one is told what was said', async () => {
  const client = await RpcClient.connect(app.url, 'helper')
  for (const message of ['mock: tokens=2', 'and now?']) {
    await client.eventsOf((await client.call('chat', { message })).result?.turn)
  }
  const messages = upstream.requests.at(-1)?.body.messages as { content: string }[]
  assert.deepEqual(
    messages.map(({ content }) => content),
    ['Answer, with actions.', 'mock: tokens=2', madeUpPieces(2).join(''), 'and now?'],
  )
  await client.close()
})

test('a turn that lost its connection is resumed on another at the exact token', async () => {
  const lost = await RpcClient.connect(app.url)
  const { promise: isResumed, resolve: goOn } = Promise.withResolvers<void>()
  upstream.plan = [{ tokens: 40, pace: 40, held: { at: 20, until: isResumed } }]
  const { result } = await lost.call('chat', { message: 'hello' })
  await lost.eventsOf(result?.turn, (event) => event === 'token')
  lost.socket.terminate()
  await lost.closed
  const first = asRead(lost.notifications.map(({ params }) => params))

  const client = await RpcClient.connect(app.url)
  const resumed = await client.call('resume', { turn: result?.turn, lastEventId: first.at(-1)?.id })
  assert.equal(resumed.result?.status, 'running')
  goOn()
  const rest = asRead(await client.eventsOf(result?.turn))
  assert.deepEqual([...first, ...rest], await collect(await http.resume(String(result?.turn))))
  assert.equal(textOf([...first, ...rest]), madeUpPieces(40).join(''))
  assert.equal(upstream.requests.at(-1)?.abortedAt, undefined)
  await client.close()
})

test('cancel stops the turn and the provider', async () => {
  const client = await RpcClient.connect(app.url)
  const { result } = await client.call('chat', { message: 'mock: tokens=1000 pace=100' })
  await client.eventsOf(result?.turn, (event) => event === 'token')
  const request = upstream.requests.at(-1)
  assert.equal((await client.call('cancel', { turn: result?.turn })).error, undefined)
  await request?.closed
  assert.notEqual(request?.abortedAt, undefined)
  assert.equal((await client.eventsOf(result?.turn)).at(-1)?.event, 'turn.cancelled')
  await client.close()
})

test('one turn at a time lives in a conversation, and the second chat is told', async () => {
  const client = await RpcClient.connect(app.url)
  const { promise: isAsked, resolve: goOn } = Promise.withResolvers<void>()
  upstream.plan = [{ tokens: 20, held: { at: 10, until: isAsked } }]
  const first = await client.call('chat', { message: 'hello' })
  const second = await client.call('chat', { message: 'me too' })
  assert.deepEqual([second.error?.code, second.error?.data?.code], [-32000, 'turn_in_progress'])
  goOn()
  await client.eventsOf(first.result?.turn)
  await client.close()
})

test('no web page from elsewhere can open it', async () => {
  const { status, body } = await refusedHandshake(app.url, 'plain', { origin: 'https://evil.example' })
  assert.deepEqual([status, body.error.code], [403, 'cross_site'])
})

test('its limits are told', async () => {
  const { body } = await http.call('GET', '/api/capabilities')
  assert.deepEqual(Object.keys(body.limits.websocket), [
    'connections',
    'messageBytes',
    'callsPerSecond',
    'callBurst',
    'callsPerBatch',
    'turnsAtOnce',
    'slowConsumerMs',
  ])
})

test('a process that stops ends its turns with an event, and its connections with a reason', async () => {
  const own = await startApp({
    config: chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) }),
    variables: { PARLEY_EGRESS_HOSTS: upstream.host, PARLEY_DRAIN_MS: '50' },
  })
  const client = await RpcClient.connect(own.url)
  const { result } = await client.call('chat', { message: 'mock: tokens=1000 pace=100' })
  await client.eventsOf(result?.turn, (event) => event === 'token')
  const stopped = own.stop()
  const refused = await client.call('chat', { message: 'one more' })
  assert.equal(refused.error?.data?.code, 'shutting_down')
  assert.equal((await client.eventsOf(result?.turn)).at(-1)?.event, 'turn.failed')
  assert.deepEqual(await client.closed, { code: 1012, reason: 'shutting down' })
  await stopped
})
