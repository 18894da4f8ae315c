import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MAX_RETRY_AFTER_MS, retryAfterMs } from './retry-after.ts'

const now = Date.UTC(2026, 0, 5, 12)

test('reads seconds and dates', () => {
  assert.equal(retryAfterMs('7', now), 7000)
  assert.equal(retryAfterMs(' 0.5 ', now), 500)
  assert.equal(retryAfterMs('0', now), 0)
  assert.equal(retryAfterMs('Mon, 05 Jan 2026 12:01:00 GMT', now), 60_000)
  assert.equal(retryAfterMs('Mon, 05 Jan 2026 11:00:00 GMT', now), 0)
})

test('an hour is the most', () => {
  assert.equal(retryAfterMs('3600', now), MAX_RETRY_AFTER_MS)
  assert.equal(retryAfterMs('3601', now), MAX_RETRY_AFTER_MS)
  assert.equal(retryAfterMs('9'.repeat(400), now), MAX_RETRY_AFTER_MS)
  assert.equal(retryAfterMs('Tue, 05 Jan 2027 12:00:00 GMT', now), MAX_RETRY_AFTER_MS)
})

test('what cannot be read says nothing', () => {
  for (const header of ['', 'soon', '-1', 'NaN', '1e9', '5 s'])
    assert.equal(retryAfterMs(header, now), undefined, header)
  assert.equal(retryAfterMs(undefined, now), undefined)
  assert.equal(retryAfterMs(['1', '2'], now), undefined)
})
