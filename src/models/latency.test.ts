import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../test/support/clock.ts'
import { Latency } from './latency.ts'

test('gives percentiles by nearest rank, and none without samples', () => {
  const latency = new Latency(manualClock())
  assert.deepEqual(latency.percentiles(), { p50: undefined, p95: undefined })
  for (let ms = 100; ms >= 1; ms--) latency.add(ms)
  assert.deepEqual(latency.percentiles(), { p50: 50, p95: 95 })
})

test('forgets what is older than five minutes, and all but the newest 512', () => {
  const clock = manualClock()
  const latency = new Latency(clock)
  latency.add(1000)
  clock.advance(5 * 60_000)
  assert.equal(latency.percentiles().p50, 1000)
  clock.advance(1)
  assert.equal(latency.percentiles().p50, undefined)
  for (let sample = 0; sample < 600; sample++) latency.add(sample < 88 ? 9 : 1)
  assert.equal(latency.percentiles().p95, 1)
})
