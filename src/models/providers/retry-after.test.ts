import assert from 'node:assert/strict'
import { test } from 'node:test'
import { retryAfterMs } from './retry-after.ts'

const now = Date.UTC(2026, 0, 5, 12)

test('reads seconds, milliseconds and dates', () => {
  assert.equal(retryAfterMs({ 'retry-after': '7' }, now), 7000)
  assert.equal(retryAfterMs({ 'retry-after': ' 0.5 ' }, now), 500)
  assert.equal(retryAfterMs({ 'retry-after': '0' }, now), 0)
  assert.equal(retryAfterMs({ 'retry-after-ms': '250', 'retry-after': '7' }, now), 250)
  assert.equal(retryAfterMs({ 'retry-after': 'Mon, 05 Jan 2026 12:01:00 GMT' }, now), 60_000)
  assert.equal(retryAfterMs({ 'retry-after': 'Mon, 05 Jan 2026 11:00:00 GMT' }, now), 0)
})

test('passes absurd lengths on as they are, and what it cannot read not at all', () => {
  assert.equal(retryAfterMs({ 'retry-after': '99999999999' }, now), 99_999_999_999_000)
  for (const header of ['', 'soon', '-1', 'NaN', '1e9']) {
    assert.equal(retryAfterMs({ 'retry-after': header }, now), undefined, String(header))
  }
  assert.equal(retryAfterMs({}, now), undefined)
  assert.equal(retryAfterMs({ 'retry-after': ['1', '2'] }, now), undefined)
  assert.equal(retryAfterMs({ 'retry-after-ms': 'x', 'retry-after': '1' }, now), 1000)
})
