import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../test/support/clock.ts'
import { createAddressLimit } from './address-limit.ts'

const refused = { code: 'rate_limited' }

test('as many as the limit, not one more, and the next when a part of the minute is over', () => {
  const clock = manualClock()
  const limit = createAddressLimit(3, clock)
  for (let n = 0; n < 3; n++) assert.doesNotThrow(() => limit('192.0.2.1'))
  assert.throws(() => limit('192.0.2.1'), { ...refused, retryAfterMs: 20_000 })
  assert.doesNotThrow(() => limit('192.0.2.2'))
  clock.advance(19_999)
  assert.throws(() => limit('192.0.2.1'), refused)
  clock.advance(1)
  assert.doesNotThrow(() => limit('192.0.2.1'))
  assert.throws(() => limit('192.0.2.1'), refused)
})

test('an address counts alike however it is written, and a /64 of IPv6 counts as one', () => {
  const limit = createAddressLimit(1, manualClock())
  for (const [first, alike] of [
    ['192.0.2.9', '::ffff:192.0.2.9'],
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'],
    ['fe80::1%eth0', 'fe80::2'],
  ] as const) {
    limit(first)
    assert.throws(() => limit(alike), refused, alike)
  }
  assert.doesNotThrow(() => limit('2001:db8:1:3::1'))
})
