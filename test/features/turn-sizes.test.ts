import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TurnEvents } from '#chat/turn-events.ts'
import { only, startRoute } from '../support/model-route.ts'
import { textOf } from '../support/native-client.ts'

const MILLION = 1_000_000

test('an answer of a million characters is whole, whatever their bytes', async () => {
  const pieces = Array.from({ length: 100 }, (_, n) => `${String.fromCodePoint(0x4e00 + n).repeat(9999)}\n`)
  await using route = await startRoute({ only: { plans: [{ pieces, burst: 20 }] } })
  const asked = await route.ask()
  const text = textOf(asked.events)
  assert.ok(text === pieces.join(''), `${text.length} characters`)
  assert.equal(only<TurnEvents['turn.completed']>(asked.events, 'turn.completed').finish, 'stop')
  const { body } = await route.client.call('GET', `/api/v1/turns/${asked.turn}`)
  assert.ok(body.text === text)
})

test('one that goes on beyond that ends as with a limit of length, and its model is stopped', async () => {
  await using route = await startRoute({
    only: { plans: [{ pieces: Array(2000).fill('x'.repeat(10_000)), burst: 5 }] },
  })
  const asked = await route.ask()
  assert.equal(only<TurnEvents['turn.completed']>(asked.events, 'turn.completed').finish, 'length')
  const { length } = textOf(asked.events)
  assert.ok(length > MILLION && length < 1.2 * MILLION, `${length} characters`)
  await route.upstreams.only?.requests[0]?.closed
  assert.notEqual(route.upstreams.only?.requests[0]?.abortedAt, undefined)
  const { body } = await route.client.call('GET', `/api/v1/conversations/${asked.conversation}`)
  assert.equal(body.liveTurn, null)
})

test('one piece of text as large as a frame may be is taken', async () => {
  const pieces = ['伽馬 '.repeat(100_000)]
  await using route = await startRoute({ only: { plans: [{ pieces }] } })
  const asked = await route.ask()
  assert.ok(textOf(asked.events) === pieces[0])
  assert.equal(asked.events.at(-1)?.type, 'turn.completed')
})

test('many calls with long arguments are all taken, and what is too long is refused as no JSON', async () => {
  const expression = (length: number) => `${'{"expression":"1+1"'.padEnd(length - 1)}}`
  const toolCalls = [
    ...Array.from({ length: 31 }, () => ({ name: 'calculate', arguments: expression(60_000) })),
    { name: 'calculate', arguments: expression(70_000) },
  ]
  await using route = await startRoute({
    only: { plans: [{ toolCalls }, { pieces: ['Done.'] }], spec: { contextWindow: 10_000_000 } },
  })
  const asked = await route.ask('add up', 'helper')
  const completed = only<TurnEvents['turn.completed']>(asked.events, 'turn.completed')
  // What is refused is refused at once, the others take their time.
  const statuses = completed.receipt.runs.map(({ status }) => status).sort()
  assert.deepEqual(statuses, ['rejected', ...Array(31).fill('succeeded')])
  assert.equal(textOf(asked.events), 'Done.')
})
