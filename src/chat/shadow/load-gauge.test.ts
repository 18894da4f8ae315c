import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../../test/support/clock.ts'
import { createLoadGauge } from './load-gauge.ts'

test('a replica is loaded whose event loop was at work for most of the time since it was last asked', () => {
  const clock = manualClock()
  const usage = { active: 0, idle: 0 }
  const isLoaded = createLoadGauge(clock, () => ({ ...usage }))
  const pass = (active: number, idle: number) => {
    usage.active += active
    usage.idle += idle
    clock.advance(active + idle)
    return isLoaded()
  }
  assert.equal(isLoaded(), false)
  assert.equal(pass(700, 300), false)
  assert.equal(pass(701, 299), true)
  assert.equal(pass(0, 499), true, 'it is not asked so soon')
  assert.equal(pass(0, 1), false)
})

test('the event loop itself can be asked', () => {
  const clock = manualClock()
  const isLoaded = createLoadGauge(clock)
  clock.advance(1000)
  assert.equal(typeof isLoaded(), 'boolean')
})
