import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sumDecimals } from './decimals.ts'

test('decimals add up as they are written', () => {
  assert.equal(sumDecimals([]), 0)
  assert.equal(sumDecimals([0.1, 0.2]), 0.3)
  assert.equal(sumDecimals([1e21, 1e-7, -1e21]), 1e-7)
  assert.equal(sumDecimals([5e-10, 1.5e-9, 3]), 3.000000002)
  assert.equal(sumDecimals(Array.from({ length: 1000 }, () => 0.001)), 1)
})

test('what no price can come to is refused', () => {
  assert.throws(() => sumDecimals([1e-300]), RangeError)
})
