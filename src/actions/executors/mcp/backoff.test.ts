import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../../../test/support/clock.ts'
import { PassingError } from '../executor.ts'
import { Backoff } from './backoff.ts'

function restOf(backoff: Backoff): number {
  try {
    backoff.pass()
    return 0
  } catch (error) {
    assert.ok(error instanceof PassingError)
    return error.retryAfterMs ?? -1
  }
}

test('doubles from half a second to half a minute, after a second try at once', () => {
  const clock = manualClock()
  const backoff = new Backoff(clock, () => 1)
  const rests = Array.from({ length: 10 }, () => {
    backoff.failed()
    const rest = restOf(backoff)
    clock.advance(rest)
    return rest
  })
  assert.deepEqual(rests, [0, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
})

test('a random half of the rest is left off', () => {
  const backoff = new Backoff(manualClock(), () => 0)
  backoff.failed()
  backoff.failed()
  assert.equal(restOf(backoff), 250)
})

test('a connection counts as good when it has lasted a minute', () => {
  const clock = manualClock()
  const backoff = new Backoff(clock, () => 1)
  const lasting = (ms: number) => {
    backoff.opened()
    clock.advance(ms)
    backoff.failed()
    return restOf(backoff)
  }
  assert.deepEqual([lasting(0), lasting(59_999)], [0, 500])
  clock.advance(500)
  assert.deepEqual([lasting(60_000), lasting(0)], [0, 500])
})
