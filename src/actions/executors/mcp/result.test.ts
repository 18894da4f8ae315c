import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorrectableError } from '../executor.ts'
import { answerOf, MAX_RESULT_BYTES } from './result.ts'

const text = (words: string) => ({ type: 'text', text: words })

test('structured content comes first, also when it is null', () => {
  assert.deepEqual(answerOf({ content: [text('{"a":1}')], structuredContent: { a: 1 } }), { a: 1 })
  assert.equal(answerOf({ content: [text('nothing')], structuredContent: null }), null)
})

test('texts stand one per line, and what is no text is named', () => {
  const content = [
    text('one'),
    { type: 'image', mimeType: 'image/png' },
    { type: 'resource', resource: { uri: 'file:///a', text: 'of a file' } },
    { type: 'resource', resource: { uri: 'file:///b', mimeType: 'application/pdf' } },
    { type: 'resource_link', uri: 'https://wiki.example/page' },
  ]
  const lines = ['one', '[image image/png]', 'of a file', '[resource application/pdf]', 'https://wiki.example/page']
  assert.equal(answerOf({ content }), lines.join('\n'))
  assert.equal(answerOf({}), '')
})

test('an error is told in its own words, and not at any length', () => {
  const failing = (words: string) => () => answerOf({ content: [text(words)], isError: true })
  assert.throws(failing('No such ticket.'), new CorrectableError('No such ticket.'))
  assert.throws(failing(''), /did not say why/)
  assert.throws(failing('x'.repeat(8192)), { message: 'x'.repeat(8192) })
  assert.throws(failing('x'.repeat(8193)), { message: `${'x'.repeat(8192)} …` })
})

test('the limit counts bytes of JSON, whatever the answer is made of', () => {
  const fits = { list: `x${'é'.repeat((MAX_RESULT_BYTES - 12) / 2)}` }
  assert.equal(Buffer.byteLength(JSON.stringify(fits)), MAX_RESULT_BYTES)
  assert.equal(answerOf({ structuredContent: fits }), fits)
  assert.throws(() => answerOf({ structuredContent: { list: `${fits.list}x` } }), {
    name: 'AnswerLostError',
    message: /ask for less; if it changes something, do not/,
  })
})
