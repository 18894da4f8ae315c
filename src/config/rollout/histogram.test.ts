import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bucketOf, bucketsOf, percentile } from './histogram.ts'

const scale = { least: 1, most: 600_000 }

function histogramOf(values: readonly number[]): number[] {
  const counts = Array.from({ length: bucketsOf(scale) }, () => 0)
  for (const value of values) counts[bucketOf(value, scale)] = (counts[bucketOf(value, scale)] ?? 0) + 1
  return counts
}

test('percentiles are right within a twentieth', () => {
  const counts = histogramOf(Array.from({ length: 1000 }, (_, n) => 10 * (n + 1)))
  for (const [share, value] of [
    [0.5, 5000],
    [0.9, 9000],
  ] as const) {
    assert.ok(Math.abs(percentile(counts, share, scale) / value - 1) < 0.05)
  }
})

test('what is counted at a percentile is not above it', () => {
  for (const value of [1, 7, 300, 599_999]) assert.ok(percentile(histogramOf([value]), 0.5, scale) >= value * 0.9999)
})

test('what is out of scale counts at its end', () => {
  assert.deepEqual([bucketOf(0, scale), bucketOf(1e9, scale)], [0, bucketsOf(scale) - 1])
})

test('nothing counted has no percentile', () => {
  assert.equal(percentile(histogramOf([]), 0.9, scale), 0)
})
