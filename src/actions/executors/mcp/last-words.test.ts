import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LastWords } from './last-words.ts'

test('keeps the end of what was said, until it is asked for', () => {
  const words = new LastWords()
  words.hear(Buffer.from('x'.repeat(3000)))
  words.hear(Buffer.from('the end'))
  const heard = words.end()
  assert.equal(heard.length, 2000)
  assert.match(heard, /xthe end$/)
  words.hear(Buffer.from('a secret'))
  assert.equal(words.end(), '')
})
