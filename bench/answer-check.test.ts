import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultsOf } from './answer-check.ts'
import { tokenText } from './steering.ts'

const completion = (tokens: readonly number[]) =>
  Buffer.from(
    `${tokens
      .map((token) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: tokenText(token) } }] })}\n\n`)
      .join('')}data: {"choices":[]}\n\ndata: [DONE]\n\n`,
  )

const turn = (events: readonly [position: number, type: string, data: object][]) =>
  Buffer.from(
    events.map(([at, type, data]) => `id: turn_1.${at}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`).join(''),
  )

const token = (position: number, ...tokens: number[]): [number, string, object] => [
  position,
  'token',
  { text: tokens.map(tokenText).join('') },
]

test('finds nothing in an answer that is what was sent', () => {
  assert.deepEqual(faultsOf('completions', completion([0, 1, 2, 3, 4, 5, 6]), 7, 'ended'), {})
  const events = [[0, 'turn.started', {}], token(1, 0), token(2, 1, 2), [3, 'turn.completed', {}]] as const
  assert.deepEqual(faultsOf('turns', turn(events.map(([...event]) => event)), 3, 'ended'), {})
})

test('counts what is missing and what came twice', () => {
  assert.deepEqual(faultsOf('completions', completion([0, 1, 3, 3]), 4, 'ended'), {
    corrupt: 1,
    missing: 1,
    doubled: 1,
  })
  assert.deepEqual(faultsOf('completions', completion([0, 1, 2]), 5, 'ended'), { corrupt: 1, missing: 2, doubled: 0 })
})

test('finds one wrong byte', () => {
  const bytes = completion([0, 1, 2, 3])
  bytes[bytes.indexOf('so')] = 0x53
  assert.deepEqual(faultsOf('completions', bytes, 4, 'ended'), { corrupt: 1, missing: 0, doubled: 0 })
})

test('takes the beginning of an answer for all that a reader can have who left, and half an event for nothing', () => {
  const bytes = completion([0, 1, 2])
  const cut = bytes.subarray(0, bytes.indexOf(tokenText(2)) + 1)
  assert.deepEqual(faultsOf('completions', cut, 100, 'left'), {})
  assert.deepEqual(faultsOf('completions', completion([0, 2, 3]).subarray(0, -60), 100, 'left'), {
    corrupt: 1,
    missing: 1,
    doubled: 0,
  })
})

test('wants the end that fits', () => {
  const open = turn([[0, 'turn.started', {}], token(1, 0, 1)])
  assert.deepEqual(faultsOf('turns', open, 2, 'ended'), { 'ends with undefined': 1 })
  assert.deepEqual(faultsOf('turns', open, 2, 'left'), {})
  const failed = turn([[0, 'turn.started', {}], token(1, 0, 1), [2, 'turn.failed', {}]])
  assert.deepEqual(faultsOf('turns', failed, 2, 'ended'), { 'ends with turn.failed': 1 })
  assert.deepEqual(faultsOf('turns', failed, 2, 'cancelled'), { 'ends with turn.failed': 1 })
})

test('finds events that are out of their place', () => {
  const events = turn([[0, 'turn.started', {}], token(2, 0), [3, 'turn.completed', {}]])
  assert.equal(faultsOf('turns', events, 1, 'ended').displaced, 2)
})
