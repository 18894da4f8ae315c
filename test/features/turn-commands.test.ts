import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { startApp, type TestApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { collect, nativeClient, textOf } from '../support/native-client.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

let upstream: Upstream
let app: TestApp
let client: ReturnType<typeof nativeClient>

before(async () => {
  upstream = await startUpstream()
  app = await startApp({
    config: chatConfig({ primary: upstreamModel('primary', upstream.baseUrl, { contextWindow: 1_000_000 }) }),
    variables: { PARLEY_EGRESS_HOSTS: upstream.host },
  })
  client = nativeClient(app.url)
})

after(async () => {
  await app.stop()
  await upstream.close()
})

test('a cancelled turn stops its model, keeps what was said, and is metered', async () => {
  const conversation = await client.conversation('plain')
  const { turn, events } = await client.stream(conversation, 'mock: tokens=500 pace=100')
  const seen = []
  for await (const event of events) {
    seen.push(event)
    if (seen.length === 6) assert.equal((await client.call('POST', `/api/v1/turns/${turn}/cancel`)).status, 202)
  }
  assert.equal(seen.at(-1)?.type, 'turn.cancelled')
  await upstream.requests.at(-1)?.closed
  assert.notEqual(upstream.requests.at(-1)?.abortedAt, undefined)

  const { body } = await client.call('GET', `/api/v1/turns/${turn}`)
  assert.equal(body.status, 'cancelled')
  assert.equal(body.text, textOf(seen))
  assert.ok(madeUpPieces(500).join('').startsWith(body.text) && body.text.length > 0)
  const [segment] = body.receipt.segments
  assert.deepEqual([segment.outcome, segment.estimated], ['cancelled', true])
  assert.ok(segment.outputTokens > 0 && segment.costUsd > 0)

  const again = await client.call('POST', `/api/v1/turns/${turn}/cancel`)
  assert.deepEqual([again.status, again.body.error.code], [409, 'turn_finished'])
  const next = await client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message: 'mock: tokens=1' })
  assert.equal(next.body.status, 'completed')
})

test('the same Idempotency-Key with the same body is the same turn', async () => {
  const conversation = await client.conversation('plain')
  const headers = { 'idempotency-key': 'once' }
  const before = upstream.requests.length
  const first = await client.stream(conversation, 'mock: tokens=20 pace=200', { headers })
  const [seen, replayed] = await Promise.all([
    collect(first.events),
    client.stream(conversation, 'mock: tokens=20 pace=200', { headers }).then(({ events }) => collect(events)),
  ])
  assert.deepEqual(replayed, seen)
  const later = await client.stream(conversation, 'mock: tokens=20 pace=200', { headers })
  assert.equal(later.turn, first.turn)
  assert.deepEqual(await collect(later.events), seen)
  assert.equal(upstream.requests.length, before + 1)
})

test('the same Idempotency-Key with another body is refused', async () => {
  const conversation = await client.conversation('plain')
  const headers = { 'idempotency-key': 'twice' }
  const turns = `/api/v1/conversations/${conversation}/turns`
  assert.equal((await client.call('POST', turns, { message: 'mock: tokens=1' }, headers)).status, 200)
  const other = await client.call('POST', turns, { message: 'mock: tokens=2' }, headers)
  assert.deepEqual([other.status, other.body.error.code], [422, 'idempotency_mismatch'])
})

test('twenty requests with one Idempotency-Key at once start one turn', async () => {
  const conversation = await client.conversation('plain')
  const before = upstream.requests.length
  const answers = await Promise.all(
    Array.from({ length: 20 }, () =>
      client.call(
        'POST',
        `/api/v1/conversations/${conversation}/turns`,
        { message: 'mock: tokens=3' },
        { 'idempotency-key': 'race' },
      ),
    ),
  )
  assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
  assert.ok(answers.every(({ status }) => status === 200))
  assert.equal(upstream.requests.length, before + 1)
})

test('feedback is kept with a finished turn, the last word counts', async () => {
  const conversation = await client.conversation('plain')
  const { promise: isAsked, resolve: goOn } = Promise.withResolvers<void>()
  upstream.plan = [{ tokens: 20, held: { at: 10, until: isAsked } }]
  const { turn, events } = await client.stream(conversation, 'hello')
  const early = await client.call('POST', `/api/v1/turns/${turn}/feedback`, { rating: 'up' })
  assert.deepEqual([early.status, early.body.error.code], [409, 'turn_running'])
  goOn()
  await collect(events)
  for (const feedback of [{ rating: 'up' }, { rating: 'down', comment: 'too short' }]) {
    assert.ok((await client.call('POST', `/api/v1/turns/${turn}/feedback`, feedback)).status < 300)
  }
  const { body } = await client.call('GET', `/api/v1/turns/${turn}`)
  assert.deepEqual(body.feedback, { rating: 'down', comment: 'too short' })
})

test('a deleted conversation takes its running turn along', async () => {
  const conversation = await client.conversation('plain')
  const { turn, events } = await client.stream(conversation, 'mock: tokens=500 pace=100')
  let count = 0
  let last = ''
  for await (const { type } of events) {
    last = type
    count += 1
    if (count === 5) assert.equal((await client.call('DELETE', `/api/v1/conversations/${conversation}`)).status, 204)
  }
  assert.equal(last, 'turn.cancelled')
  assert.equal((await client.call('GET', `/api/v1/conversations/${conversation}`)).status, 404)
  assert.equal((await client.call('GET', `/api/v1/turns/${turn}`)).status, 404)
})

test('a message is taken at the limit of its size and refused one byte past it', async () => {
  const conversation = await client.conversation('plain')
  const turns = `/api/v1/conversations/${conversation}/turns`
  const opening = 'mock: tokens=1\n'
  const atLimit = opening.padEnd(128 * 1024 - 2, 'e').concat('é')
  assert.equal((await client.call('POST', turns, { message: atLimit })).status, 200)
  const over = await client.call('POST', turns, { message: `${atLimit}e` })
  assert.deepEqual([over.status, over.body.error.code], [413, 'message_too_large'])
})
