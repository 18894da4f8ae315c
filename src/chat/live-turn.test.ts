import assert from 'node:assert/strict'
import { test } from 'node:test'
import { turnLimits } from './limits.ts'
import { LiveTurn } from './live-turn.ts'
import type { TurnEvent } from './turn-events.ts'

const event = (position: number | undefined, text = ''): TurnEvent => ({
  position,
  type: 'token',
  data: JSON.stringify({ text }),
})

test('a reader takes what is new from its own place', () => {
  const live = new LiveTurn(3)
  live.push([event(3), event(4)])
  assert.deepEqual(
    live.from(3)?.map((one) => one.position),
    [3, 4],
  )
  assert.deepEqual(
    live.from(4)?.map((one) => one.position),
    [4],
  )
  assert.deepEqual(live.from(5), [])
  assert.equal(live.from(2), undefined)
  assert.equal(live.end, 5)
})

test('all readers wake at a change, and at the end', async () => {
  const live = new LiveTurn(0)
  const first = live.change()
  assert.equal(first, live.change())
  live.push([event(0)])
  await first
  const last = live.change()
  live.close()
  await last
  assert.ok(live.ended)
})

test('events shown before the log had them get their positions afterwards', () => {
  const live = new LiveTurn(0)
  live.push([event(0), event(undefined, 'a'), event(undefined, 'b')])
  live.acknowledge([event(1, 'a')])
  assert.deepEqual(
    live.from(0)?.map((one) => one.position),
    [0, 1, undefined],
  )
})

test('memory is bounded; what the log has not acknowledged stays', () => {
  const live = new LiveTurn(0)
  const many = turnLimits.eventsInMemory
  live.push(Array.from({ length: 2 * many }, (_, position) => event(position)))
  assert.equal(live.from(0)?.length, 2 * many)
  live.push([event(2 * many)])
  assert.equal(live.from(0), undefined)
  assert.equal(live.from(many)?.length, many + 1)

  const away = new LiveTurn(0)
  away.push([event(0), ...Array.from({ length: 3 * many }, () => event(undefined))])
  assert.equal(away.from(1)?.length, 3 * many)
})
