import assert from 'node:assert/strict'
import { test } from 'node:test'
import { key } from './kv.ts'
import { readRedirect, readSlotRanges, slotOf, splitAddress } from './redis-slots.ts'

test('the slot of a key is that of its partition', () => {
  // From the specification: the CRC of 123456789 is 0x31c3.
  assert.equal(slotOf(key('123456789', 'anything')), 0x31c3 % 16384)
  assert.equal(slotOf(key('foo', '')), 12182)
  assert.equal(slotOf(key('user1000', 'a}b')), 3443)
})

test('the map of slots is read, nodes without a name by whom was asked', () => {
  const reply = [
    [0, 5460, ['10.0.0.1', 6380, 'id'], ['10.0.0.9', 6380, 'replica']],
    [5461, 16383, ['', 6381, 'id']],
    [3, 3, [null, 6382, 'id']],
  ]
  assert.deepEqual(readSlotRanges(reply, 'cache.example'), [
    { first: 0, last: 5460, address: '10.0.0.1:6380' },
    { first: 5461, last: 16383, address: 'cache.example:6381' },
    { first: 3, last: 3, address: 'cache.example:6382' },
  ])
  for (const bad of ['OK', [['a', 1, ['h', 1]]], [[0, 1]], [[0, 1, ['h']]]]) {
    assert.throws(() => readSlotRanges(bad, 'h'), TypeError)
  }
})

test('redirects are read, and nonsense is none', () => {
  assert.deepEqual(readRedirect('MOVED 3999 127.0.0.1:6381'), { slot: 3999, address: '127.0.0.1:6381' })
  assert.deepEqual(readRedirect('ASK 0 ::1:6381'), { slot: 0, address: '::1:6381' })
  for (const bad of ['MOVED', 'MOVED x 1:1', 'MOVED 16384 h:1', 'MOVED __proto__ h:1', 'MOVED 1 ']) {
    assert.equal(readRedirect(bad), undefined)
  }
  assert.deepEqual(splitAddress('::1:6381'), { host: '::1', port: 6381 })
})
