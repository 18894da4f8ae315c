import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cutOutput } from './cut-output.ts'

test('what is too long is cut at the limit and says how long it is', () => {
  assert.equal(cutOutput('12345', 5), '12345')
  assert.equal(cutOutput('123456', 5), '12345\n[cut off here: the result has 6 characters]')
})

test('half a character is not left behind', () => {
  assert.ok(cutOutput('1234👍', 5).isWellFormed())
})
