import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Receipt, TurnEvents } from '#chat/turn-events.ts'
import type { ConfigDocument } from '#config/document.ts'
import type { ErrorBody } from '#errors.ts'
import type { ChatMessage } from '#models/answer.ts'
import { manualClock } from '../support/clock.ts'
import { type Asked, checkOneText, only, startRoute } from '../support/model-route.ts'
import { collect, textOf } from '../support/native-client.ts'
import type { SseEvent } from '../support/sse.ts'
import type { PlannedCall } from '../support/upstream-plan.ts'

const sums = (count: number): PlannedCall[] =>
  Array.from({ length: count }, (_, n) => ({ name: 'calculate', arguments: `{"expression":"${n}+1"}` }))
const statusesOf = ({ events }: Asked) => {
  const runs = events.filter(({ type }) => type === 'run').map(({ data }) => data as TurnEvents['run'])
  return Object.groupBy(
    runs.filter(({ output }) => output !== undefined),
    ({ status }) => status,
  )
}
const toldTo = (body: Record<string, unknown> | undefined) => body?.messages as ChatMessage[]

test('in its tenth step a turn has to answer: no actions are offered, and it says so', async () => {
  const calls = Array.from({ length: 9 }, () => ({ toolCalls: sums(1) }))
  await using route = await startRoute({ only: { plans: [...calls, { pieces: ['Done.'] }] } })
  const asked = await route.ask('go on', 'helper')
  assert.equal(await checkOneText(route, asked), 'Done.')
  assert.equal(only<{ receipt: Receipt }>(asked.events, 'turn.completed').receipt.steps, 10)
  assert.equal(only<TurnEvents['notice']>(asked.events, 'notice').code, 'limit_reached')
  const offered = route.upstreams.only?.requests.map(({ body }) => Array.isArray(body.tools)) ?? []
  assert.deepEqual(offered, [...Array.from({ length: 9 }, () => true), false])
})

test('a model that calls all the same in its tenth step ends the turn', async () => {
  await using route = await startRoute({ only: { plans: () => ({ pieces: ['Again. '], toolCalls: sums(1) }) } })
  const asked = await route.ask('go on', 'helper')
  const failed = only<ErrorBody & { receipt: Receipt }>(asked.events, 'turn.failed')
  assert.equal(failed.error.code, 'too_many_steps')
  assert.equal(route.upstreams.only?.requests.length, 10)
  assert.deepEqual([failed.receipt.segments.length, failed.receipt.runs.length], [10, 9])
  assert.equal(await checkOneText(route, asked), 'Again. '.repeat(10))
})

test('32 calls are made, over all steps, and then no more are offered', async () => {
  await using route = await startRoute({
    only: { plans: [{ toolCalls: sums(31) }, { toolCalls: sums(1) }, { pieces: ['Done.'] }] },
  })
  const asked = await route.ask('add up', 'helper')
  assert.equal(await checkOneText(route, asked), 'Done.')
  assert.deepEqual([statusesOf(asked).succeeded?.length, statusesOf(asked).rejected], [32, undefined])
  const offered = route.upstreams.only?.requests.map(({ body }) => Array.isArray(body.tools))
  assert.deepEqual(offered, [true, true, false])
})

test('one call more is refused, and the model told', async () => {
  await using route = await startRoute({ only: { plans: [{ toolCalls: sums(33) }, { pieces: ['Done.'] }] } })
  const asked = await route.ask('add up', 'helper')
  assert.equal(await checkOneText(route, asked), 'Done.')
  assert.deepEqual([statusesOf(asked).succeeded?.length, statusesOf(asked).rejected?.length], [32, 1])
  assert.equal(statusesOf(asked).rejected?.[0]?.index, 32)
  const told = toldTo(route.upstreams.only?.requests[1]?.body).at(-1)
  assert.match(String(told?.content), /made its 32 calls/)
})

test('a history that outgrows the window loses its oldest turns, and the turn says so', async () => {
  const long = (n: number) => `message ${n}: ${'word '.repeat(150)}`
  await using route = await startRoute({
    only: { plans: () => ({ pieces: ['Noted.'] }), spec: { contextWindow: 500, maxOutput: 100 } },
  })
  const { client } = route
  const conversation = await client.conversation('plain')
  const say = async (message: string): Promise<Asked> => {
    const { turn, events } = await client.stream(conversation, message)
    return { conversation, turn, events: await collect(events) }
  }
  for (const n of [1, 2]) {
    const early = await say(long(n))
    assert.equal(only<{ receipt: Receipt }>(early.events, 'turn.completed').receipt.compaction, undefined)
    assert.ok(early.events.every(({ type }) => type !== 'notice'))
  }
  for (const n of [3, 4]) {
    const asked = await say(long(n))
    assert.equal(only<TurnEvents['notice']>(asked.events, 'notice').code, 'history_compacted')
    const { receipt } = only<{ receipt: Receipt }>(asked.events, 'turn.completed')
    assert.deepEqual(receipt.compaction, { omittedMessages: 2 * (n - 2) })
    const told = toldTo(route.upstreams.only?.requests[n - 1]?.body)
    assert.deepEqual(
      told.map(({ role }) => role),
      ['system', 'system', 'user', 'assistant', 'user'],
    )
    assert.deepEqual([told[0]?.content, told[2]?.content, told[4]?.content], ['Answer.', long(n - 1), long(n)])
    assert.match(String(told[1]?.content), /left out/)
  }
  const { body } = await client.call('GET', `/api/v1/conversations/${conversation}/messages`)
  assert.equal(body.items.length, 8)
})

test('a message that alone is too long for the window is refused as what it is', async () => {
  await using route = await startRoute({ only: { spec: { contextWindow: 300 } } })
  const { status, body } = await route.answer('word '.repeat(400))
  assert.deepEqual([status, body.error.code], [400, 'context_overflow'])
  assert.equal(route.upstreams.only?.requests.length, 0)
  assert.equal((await route.answer('short')).body.status, 'completed')
})

test('a model whose window is too small is left out in favour of one that can read all', async () => {
  await using route = await startRoute({ small: { spec: { contextWindow: 300 } }, large: { plans: [{ tokens: 1 }] } })
  const { body } = await route.answer('word '.repeat(400))
  assert.equal(body.status, 'completed')
  assert.equal(body.receipt.compaction, undefined)
  assert.deepEqual([route.upstreams.small?.requests.length, route.upstreams.large?.requests.length], [0, 1])
})

test('after fifteen minutes of production a turn ends', async () => {
  const clock = manualClock(Date.now())
  const startedAt = clock.monotonic()
  await using route = await startRoute(
    { only: { plans: [{ tokens: 100_000, pace: 500 }] } },
    {
      overrides: { clock },
      variables: { PARLEY_TURN_LEASE_MS: '600000' },
      timers: { stallTimeoutMs: 600_000, firstTokenTimeoutMs: 600_000 },
    },
  )
  const conversation = await route.client.conversation('plain')
  const { turn, events } = await route.client.stream(conversation, 'go on')
  const seen: SseEvent[] = []
  for await (const event of events) {
    seen.push(event)
    // Time passes only between tokens, so that no other timer has a reason to go off; what had come by then comes still.
    if (event.type !== 'token' || clock.monotonic() - startedAt >= 15 * 60_000) continue
    clock.advance(10_000)
    // Many tokens may come in one piece: without a moment for the log between them, a lease would pass unrenewed.
    await delay(10)
  }
  assert.ok(clock.monotonic() - startedAt >= 15 * 60_000)
  assert.equal(only<ErrorBody>(seen, 'turn.failed').error.code, 'turn_deadline')
  await route.upstreams.only?.requests[0]?.closed
  assert.notEqual(route.upstreams.only?.requests[0]?.abortedAt, undefined)
  const { body } = await route.client.call('GET', `/api/v1/turns/${turn}`)
  assert.deepEqual([body.status, body.text, body.error.code], ['failed', textOf(seen), 'turn_deadline'])
})

test('a turn started by GET runs no action that writes', async () => {
  const writes = ({ actions }: ConfigDocument) => delete actions?.calculate?.access
  const plans = [{ toolCalls: sums(1) }, { pieces: ['I may not.'] }, { toolCalls: sums(1) }, { pieces: ['Done.'] }]
  await using route = await startRoute({ only: { plans } }, { adjust: writes })
  const asked = await route.client.call('GET', '/api/v1/specialists/helper/stream?message=write', undefined, {
    accept: 'application/json',
  })
  assert.deepEqual([asked.body.text, asked.body.receipt.runs[0].status], ['I may not.', 'rejected'])
  const posted = await route.answer('write', 'helper')
  assert.deepEqual([posted.body.text, posted.body.receipt.runs[0].status], ['Done.', 'succeeded'])
})

test('when the log of a turn has expired, a position is answered with all its text at once', async () => {
  const clock = manualClock(Date.now())
  await using route = await startRoute(
    { only: { plans: [{ pieces: ['It ', 'was ', 'so.'] }] } },
    { overrides: { clock } },
  )
  const { turn, events } = await route.ask()
  const last = events.length - 1
  clock.advance(60 * 60_000 - 1)
  assert.deepEqual(await collect(await route.client.resume(turn)), events)
  clock.advance(1)
  for (const after of [undefined, `${turn}.0`, `${turn}.${last - 1}`]) {
    const seen = await collect(await route.client.resume(turn, after))
    const snapshot = { id: `${turn}.${last - 1}`, type: 'snapshot', data: { text: 'It was so.', at: last - 1 } }
    assert.deepEqual(seen, after?.endsWith(`.${last - 1}`) ? [events[last]] : [snapshot, events[last]])
  }
  const all = await fetch(`${route.app.url}/api/v1/turns/${turn}/stream`, {
    headers: { 'last-event-id': `${turn}.${last}` },
  })
  assert.equal(all.status, 204)
})
