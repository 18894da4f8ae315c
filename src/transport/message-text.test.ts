import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { checkMessage } from './message-text.ts'

const refusedAs = (code: string) => (error: unknown) =>
  error instanceof ParleyError && error.code === code && error.param === 'message'

test('takes text of any script, with line breaks and tabs', () => {
  for (const text of ['hi', 'a\n\tb\r\n', 'grüße', '你好', '👩‍👩‍👧', '\u202eright to left', '\ufeffbyte order mark']) {
    assert.equal(checkMessage(text, 100), text)
  }
})

test('counts bytes of UTF-8, and takes exactly as many as it may', () => {
  assert.equal(checkMessage('ü'.repeat(5), 10), 'üüüüü')
  assert.throws(() => checkMessage(`${'ü'.repeat(5)}a`, 10), refusedAs('message_too_large'))
  assert.equal(checkMessage('a'.repeat(10), 10), 'aaaaaaaaaa')
  assert.throws(() => checkMessage('a'.repeat(11), 10), refusedAs('message_too_large'))
  assert.throws(() => checkMessage('👍'.repeat(3), 11), refusedAs('message_too_large'))
})

test('refuses what says nothing', () => {
  for (const text of ['', ' ', '\n\t\r ', '\u00a0\u3000']) {
    assert.throws(() => checkMessage(text, 100), refusedAs('invalid_request'))
  }
})

test('refuses control characters and halves of characters', () => {
  for (const text of ['a\u0000', '\u001b[31m', 'a\u007f', 'a\u0085b', '\ud83d', 'a\udc4d', '\udc4d\ud83d']) {
    assert.throws(() => checkMessage(text, 100), refusedAs('invalid_request'))
  }
})
