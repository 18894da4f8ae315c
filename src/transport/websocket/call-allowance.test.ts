import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../../test/support/clock.ts'
import { CallAllowance } from './call-allowance.ts'

function setUp() {
  const clock = manualClock()
  const allowance = new CallAllowance(clock, { callsPerSecond: 2, callBurst: 3 })
  return { clock, allowance, take: (times: number) => Array.from({ length: times }, () => allowance.take()) }
}

test('allows the burst, and refuses the call after it', () => {
  const { take } = setUp()
  assert.deepEqual(take(4), ['allowed', 'allowed', 'allowed', 'refused'])
})

test('is exhausted after as many refusals as the burst is long', () => {
  const { take } = setUp()
  assert.deepEqual(take(7).slice(3), ['refused', 'refused', 'refused', 'exhausted'])
})

test('allows again when it said it would, and not a moment before', () => {
  const { clock, allowance, take } = setUp()
  take(4)
  const waitMs = allowance.retryAfterMs
  assert.equal(waitMs, 1000)
  clock.advance(waitMs - 1)
  assert.equal(allowance.take(), 'refused')
  clock.advance(allowance.retryAfterMs)
  assert.equal(allowance.take(), 'allowed')
})

test('a steady pace at the limit goes on for ever, and a long pause gives no more than the burst', () => {
  const { clock, take } = setUp()
  take(3)
  for (let second = 0; second < 100; second++) {
    clock.advance(1000)
    assert.deepEqual(take(2), ['allowed', 'allowed'])
  }
  clock.advance(3_600_000)
  assert.deepEqual(take(4), ['allowed', 'allowed', 'allowed', 'refused'])
})
