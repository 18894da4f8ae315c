import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FastifyRequest } from 'fastify'
import { ParleyError } from '#errors.ts'
import { formatEventId, lastEventIdOf, positionAfter } from './event-id.ts'

const turn = 'turn_01a1f8bb553e717f878f2e6ae2ef9d11'
const requestWith = (lastEventId?: string) =>
  ({ headers: { 'last-event-id': lastEventId } }) as unknown as FastifyRequest
const badPosition = (error: unknown) => error instanceof ParleyError && error.code === 'bad_position'

test('reads back what it writes', () => {
  assert.deepEqual(lastEventIdOf(requestWith(formatEventId(turn, 42))), { turn, position: 42 })
})

test('an empty header is none: EventSource has received nothing yet', () => {
  assert.equal(lastEventIdOf(requestWith('')), undefined)
  assert.equal(lastEventIdOf(requestWith(undefined)), undefined)
})

test('refuses what is no event id', () => {
  for (const given of [
    'x',
    '7',
    `${turn}`,
    `${turn}.`,
    `${turn}.-1`,
    `${turn}.1.5`,
    `${turn}.1e3`,
    ` ${turn}.1`,
    `turn_.1`,
  ]) {
    assert.throws(() => lastEventIdOf(requestWith(given)), badPosition, given)
  }
  assert.throws(() => lastEventIdOf(requestWith(`${turn}.${'9'.repeat(16)}`)), badPosition)
})

test('starts at the start when nothing says otherwise', () => {
  assert.equal(positionAfter(requestWith(), turn, undefined), -1)
})

test('takes a position or an event id after `after`, and the header before it', () => {
  assert.equal(positionAfter(requestWith(), turn, '3'), 3)
  assert.equal(positionAfter(requestWith(), turn, `${turn}.3`), 3)
  assert.equal(positionAfter(requestWith(`${turn}.9`), turn, '3'), 9)
})

test('refuses positions of another turn, and what is none', () => {
  assert.throws(() => positionAfter(requestWith('turn_other.3'), turn, undefined), badPosition)
  assert.throws(() => positionAfter(requestWith(), turn, 'turn_other.3'), badPosition)
  for (const after of ['', '-1', '1.5', 'x', '9'.repeat(16)]) {
    assert.throws(() => positionAfter(requestWith(), turn, after), badPosition, after)
  }
})
