import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../test/support/clock.ts'
import { turnLimits } from './limits.ts'
import { Deadline } from './produce.ts'

function begin() {
  const clock = manualClock()
  let expired = 0
  const deadline = new Deadline(clock, () => {
    expired += 1
  })
  return { clock, deadline, expired: () => expired }
}

test('production ends when its time is up, and not before', () => {
  const { clock, expired } = begin()
  clock.advance(turnLimits.productionMs - 1)
  assert.equal(expired(), 0)
  clock.advance(1)
  assert.equal(expired(), 1)
})

test('time that a turn waits for actions does not count', () => {
  const { clock, deadline, expired } = begin()
  clock.advance(turnLimits.productionMs - 10)
  deadline.suspend()
  assert.equal(clock.pending, 0)
  clock.advance(3 * turnLimits.productionMs)
  deadline.resume()
  deadline.resume()
  clock.advance(9)
  assert.equal(expired(), 0)
  clock.advance(1)
  assert.equal(expired(), 1)
})

test('after the last suspension nothing goes off any more', () => {
  const { clock, deadline, expired } = begin()
  deadline.suspend()
  deadline.suspend()
  clock.advance(2 * turnLimits.productionMs)
  assert.deepEqual([expired(), clock.pending], [0, 0])
})
