import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ErrorBody } from '#errors.ts'
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
    config: chatConfig({ primary: upstreamModel('primary', upstream.baseUrl) }),
    variables: { PARLEY_EGRESS_HOSTS: upstream.host },
  })
  client = nativeClient(app.url)
})

after(async () => {
  await app.stop()
  await upstream.close()
})

const answer = madeUpPieces(40).join('')

test('an answer streams token by token, is metered, and ends with its receipt', async () => {
  const conversation = await client.conversation('plain')
  const { turn, events } = await client.stream(conversation, 'mock: tokens=40 pace=400')
  const seen = await collect(events)
  assert.deepEqual(
    seen.map(({ id }) => id),
    seen.map((_, position) => `${turn}.${position}`),
  )
  assert.equal(seen[0]?.type, 'turn.started')
  assert.ok(seen.filter(({ type }) => type === 'token').length > 10)
  assert.equal(textOf(seen), answer)
  const last = seen.at(-1)
  assert.equal(last?.type, 'turn.completed')
  const { finish, receipt } = (last?.data ?? {}) as { finish: string; receipt: Record<string, unknown> }
  assert.equal(finish, 'stop')
  assert.deepEqual([receipt.turn, receipt.inputTokens, receipt.outputTokens, receipt.steps], [turn, 16, 40, 1])
  assert.ok(Math.abs(Number(receipt.costUsd) - (16 * 2 + 40 * 8) / 1e6) < 1e-12)
})

test('a turn read again from any position gives the same text, byte for byte', async () => {
  const conversation = await client.conversation('plain')
  const { turn, events } = await client.stream(conversation, 'mock: tokens=40')
  const seen = await collect(events)
  assert.ok(seen.length > 3)
  for (const [position, { id }] of seen.slice(0, -1).entries()) {
    assert.deepEqual(await collect(await client.resume(turn, id)), seen.slice(position + 1))
  }
  assert.deepEqual(await collect(await client.resume(turn)), seen)
})

test('a reader who leaves in the middle comes back to the exact token while the turn goes on', async () => {
  const conversation = await client.conversation('plain')
  const leave = new AbortController()
  const { turn, events } = await client.stream(conversation, 'mock: tokens=40 pace=200', { signal: leave.signal })
  const first = []
  for await (const event of events) {
    first.push(event)
    if (first.length === 8) break
  }
  leave.abort()
  const rest = await collect(await client.resume(turn, first.at(-1)?.id))
  assert.equal(textOf([...first, ...rest]), answer)
  assert.equal(rest.at(-1)?.type, 'turn.completed')
  assert.equal(upstream.requests.at(-1)?.abortedAt, undefined)
})

test('many readers of one turn see the same', async () => {
  const conversation = await client.conversation('plain')
  const { turn, events } = await client.stream(conversation, 'mock: tokens=40 pace=200')
  const others = Array.from({ length: 5 }, async () => collect(await client.resume(turn)))
  const seen = await collect(events)
  for (const other of await Promise.all(others)) assert.deepEqual(other, seen)
})

test('after the end there is nothing to come back for', async () => {
  const conversation = await client.conversation('plain')
  const { turn, events } = await client.stream(conversation, 'mock: tokens=2')
  const seen = await collect(events)
  const last = seen.at(-1)?.id ?? ''
  const response = await fetch(`${app.url}/api/v1/turns/${turn}/stream`, { headers: { 'last-event-id': last } })
  assert.equal(response.status, 204)
})

test('positions that are not of this turn are refused', async () => {
  const conversation = await client.conversation('plain')
  const { turn, events } = await client.stream(conversation, 'mock: tokens=2')
  const seen = await collect(events)
  for (const position of [
    `${turn}.${seen.length}`,
    `${turn}.999999`,
    'turn_00000000000000000000000000000000.1',
    `${turn}.x`,
  ]) {
    const response = await fetch(`${app.url}/api/v1/turns/${turn}/stream`, { headers: { 'last-event-id': position } })
    assert.equal(response.status, 400)
    const { error } = (await response.json()) as ErrorBody
    assert.equal(error.code, 'bad_position')
  }
})

test('the conversation remembers both sides, and the next turn is told', async () => {
  const conversation = await client.conversation('plain')
  await collect((await client.stream(conversation, 'mock: tokens=3')).events)
  await collect((await client.stream(conversation, 'and now?')).events)
  const { body } = await client.call('GET', `/api/v1/conversations/${conversation}/messages`)
  assert.deepEqual(
    body.items.map(({ role }: { role: string }) => role),
    ['user', 'assistant', 'user', 'assistant'],
  )
  assert.deepEqual(upstream.requests.at(-1)?.body.messages, [
    { role: 'system', content: 'Answer.' },
    { role: 'user', content: 'mock: tokens=3' },
    { role: 'assistant', content: madeUpPieces(3).join('') },
    { role: 'user', content: 'and now?' },
  ])
})

test('one turn at a time lives in a conversation', async () => {
  const conversation = await client.conversation('plain')
  const { promise: isAsked, resolve: goOn } = Promise.withResolvers<void>()
  upstream.plan = [{ tokens: 20, held: { at: 10, until: isAsked } }]
  const { turn, events } = await client.stream(conversation, 'hello')
  const second = await client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message: 'me too' })
  assert.equal(second.status, 409)
  assert.equal(second.body.error.code, 'turn_in_progress')
  const shown = await client.call('GET', `/api/v1/conversations/${conversation}`)
  assert.equal(shown.body.liveTurn, turn)
  goOn()
  await collect(events)
  const third = await client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message: 'mock: tokens=2' })
  assert.equal(third.status, 200)
  assert.equal(third.body.text, madeUpPieces(2).join(''))
})

test('a reader that waits for the whole answer gets it with its receipt', async () => {
  const conversation = await client.conversation('plain')
  const { status, body } = await client.call('POST', `/api/v1/conversations/${conversation}/turns`, {
    message: 'mock: tokens=5',
  })
  assert.equal(status, 200)
  assert.equal(body.status, 'completed')
  assert.equal(body.receipt.outputTokens, 5)
  const again = await client.call('GET', `/api/v1/turns/${body.id}`)
  assert.deepEqual(again.body, body)
})

test('turns of somebody else, or of nobody, are not found', async () => {
  const unknown = 'turn_01a1f8ce89e77011b6da6ed5e354e44a'
  for (const [method, path] of [
    ['GET', `/api/v1/turns/${unknown}`],
    ['GET', `/api/v1/turns/${unknown}/stream`],
    ['POST', `/api/v1/turns/${unknown}/cancel`],
  ] as const) {
    const { status, body } = await client.call(method, path)
    assert.equal(status, 404, path)
    assert.equal(body.error.code, 'turn_not_found')
  }
})
