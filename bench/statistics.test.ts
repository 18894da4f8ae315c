import assert from 'node:assert/strict'
import { test } from 'node:test'
import { median, spreadOf } from './statistics.ts'

test('takes the middle, or the mean of the two in the middle, of what is a number', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2.5)
  assert.equal(median([7, Number.NaN, Number.POSITIVE_INFINITY]), 7)
  assert.ok(Number.isNaN(median([])))
})

test('reads percentiles off the values themselves', () => {
  const values = Array.from({ length: 100 }, (_, at) => 100 - at)
  assert.deepEqual(spreadOf(values), { count: 100, min: 1, p50: 50, p95: 95, p99: 99, max: 100 })
  assert.deepEqual(spreadOf([5]), { count: 1, min: 5, p50: 5, p95: 5, p99: 5, max: 5 })
  assert.ok(Number.isNaN(spreadOf([]).p50))
})
