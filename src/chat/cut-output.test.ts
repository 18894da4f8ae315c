import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cutOutput, fitOutput, jsonBytes } from './cut-output.ts'

test('what is too long is cut at the limit and says how long it is', () => {
  assert.equal(cutOutput('12345', 5), '12345')
  assert.equal(cutOutput('123456', 5), '12345\n[cut off here: the result has 6 characters]')
})

test('half a character is not left behind', () => {
  assert.ok(cutOutput('1234👍', 5).isWellFormed())
})

test('what takes too many bytes is cut as well, whatever its characters take', () => {
  for (const character of ['x', '"', '語', '\u0001']) {
    const output = character.repeat(100)
    const bytes = jsonBytes(output)
    assert.equal(fitOutput(output, 100, bytes), output)
    const [kept = '', remark] = fitOutput(output, 100, bytes - 1).split('\n')
    assert.ok(output.startsWith(kept) && jsonBytes(kept) < bytes, character)
    assert.equal(remark, '[cut off here: the result has 100 characters]')
  }
  assert.equal(fitOutput('x', 100, -1), '\n[cut off here: the result has 1 characters]')
})
