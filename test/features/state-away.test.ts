import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { ErrorBody } from '#errors.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { collect, nativeClient, textOf } from '../support/native-client.ts'
import { noOwnRedis, type RedisServer } from '../support/redis.ts'
import { type SharedEngines, startSharedEngines } from '../support/shared-engines.ts'
import type { SseEvent } from '../support/sse.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

const skip = await noOwnRedis()
const LEASE_MS = 6000

let engines: SharedEngines
let redis: RedisServer
let upstream: Upstream
let app: TestApp
let client: ReturnType<typeof nativeClient>

before(async () => {
  if (skip) return
  engines = await startSharedEngines({ redisArgs: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  redis = engines.redis
  upstream = await startUpstream()
  app = await startApp({
    config: chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) }),
    variables: {
      PARLEY_EGRESS_HOSTS: upstream.host,
      ...engines.variables,
      PARLEY_TURN_LEASE_MS: String(LEASE_MS),
    },
  })
  client = nativeClient(app.url)
})

after(async () => {
  if (skip) return
  await app.stop()
  await upstream.close()
  await engines[Symbol.asyncDispose]()
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await setTimeout(50)
}

const isServing = async () => (await client.call('GET', '/api/v1/conversations')).status === 200

async function take(events: AsyncGenerator<SseEvent>, tokens: number): Promise<SseEvent[]> {
  const seen: SseEvent[] = []
  while (seen.filter(({ type }) => type === 'token').length < tokens) {
    const { value, done } = await events.next()
    assert.ok(!done, 'the stream ended early')
    seen.push(value)
  }
  return seen
}

test('a short loss of the store is bridged: text goes on without ids, and has them when the store is back', {
  skip,
}, async () => {
  const conversation = await client.conversation('plain')
  const { promise: isAway, resolve: goOn } = Promise.withResolvers<void>()
  upstream.plan = [{ tokens: 150, pace: 60, held: { at: 30, until: isAway } }]
  const { turn, events } = await client.stream(conversation, 'hello')
  const first = await take(events, 10)
  await redis.stop()
  goOn()
  const away = await take(events, 10)
  while (away.at(-1)?.id !== undefined) away.push(...(await take(events, 1)))
  await redis.start()
  const rest = await collect(events)
  const all = [...first, ...away, ...rest]
  assert.equal(textOf(all), madeUpPieces(150).join(''))
  assert.equal(all.at(-1)?.type, 'turn.completed')
  assert.match(all.at(-1)?.id ?? '', new RegExp(`^${turn}\\.\\d+$`))
  assert.equal(textOf(await collect(await client.resume(turn))), madeUpPieces(150).join(''))
  assert.equal(textOf([...first, ...(await collect(await client.resume(turn, first.at(-1)?.id)))]), textOf(all))
})

test('a long loss ends the turn with a typed failure, refuses new ones, and all recovers by itself', {
  skip,
}, async () => {
  await until(isServing)
  const conversation = await client.conversation('plain')
  const { turn, events } = await client.stream(conversation, 'mock: tokens=2000 pace=60')
  await take(events, 5)
  await redis.stop()
  const left = await collect(events)
  const last = left.at(-1)
  assert.equal(last?.type, 'turn.failed')
  assert.equal((last?.data as ErrorBody | undefined)?.error.code, 'turn_lost')
  await upstream.requests.at(-1)?.closed
  assert.notEqual(upstream.requests.at(-1)?.abortedAt, undefined)

  const refused = await client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message: 'hello?' })
  assert.deepEqual([refused.status, refused.body.error.code], [503, 'state_unavailable'])
  assert.equal((await client.call('GET', '/health/ready')).status, 200)

  await redis.start()
  await until(isServing)
  const whole = await collect(await client.resume(turn))
  assert.equal(whole.at(-1)?.type, 'turn.failed')
  const turns = `/api/v1/conversations/${conversation}/turns`
  await until(async () => (await client.call('POST', turns, { message: 'mock: tokens=2' })).body.status === 'completed')
  const { body } = await client.call('GET', `/api/v1/turns/${turn}`)
  assert.deepEqual([body.status, body.error.code], ['failed', 'turn_lost'])
})

test('no committed turn is lost', { skip }, async () => {
  await until(isServing)
  const conversation = await client.conversation('plain')
  const { body } = await client.call('POST', `/api/v1/conversations/${conversation}/turns`, {
    message: 'mock: tokens=3',
  })
  await redis.kill()
  await redis.start()
  await until(isServing)
  const again = await client.call('GET', `/api/v1/turns/${body.id}`)
  assert.deepEqual(again.body, body)
  const { body: kept } = await client.call('GET', `/api/v1/conversations/${conversation}/messages`)
  assert.equal(kept.items.length, 2)
})
