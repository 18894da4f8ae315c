import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brief, plainText } from './plain-text.ts'

test('what a terminal would act on is shown, lines and letters of all languages stay', () => {
  assert.equal(plainText('a\u001b[2Jb\u0007\r\u009b31m\u007f'), 'a\\u001b[2Jb\\u0007\\u000d\\u009b31m\\u007f')
  assert.equal(plainText('to\u202eevil\u2066'), 'to\\u202eevil\\u2066')
  const sound = 'één\tסוף 🙂👩‍💻\nend'
  assert.equal(plainText(sound), sound)
})

test('what is brief is one line of at most 160 characters and an ellipsis', () => {
  assert.equal(brief('a\nb'), 'a b')
  assert.equal(brief('x'.repeat(160)), 'x'.repeat(160))
  assert.equal(brief('x'.repeat(161)), `${'x'.repeat(160)}…`)
})
