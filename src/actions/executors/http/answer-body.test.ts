import assert from 'node:assert/strict'
import { test } from 'node:test'
import { excerptOf, valueOfBody } from './answer-body.ts'

const answer = (type: string | undefined, body: string | Buffer) => ({
  headers: { 'content-type': type },
  body: Buffer.from(body),
})

test('JSON is read where it calls itself so', () => {
  for (const type of [
    'application/json',
    'Application/JSON; charset=utf-8',
    'application/problem+json',
    'application/vnd.a-b.c+json;v=1',
  ]) {
    assert.deepEqual(valueOfBody(answer(type, '{"a":[1]}')), { a: [1] })
  }
  for (const type of ['text/plain', 'text/json-like', 'application/jsonp', 'application/json-seq', undefined]) {
    assert.equal(valueOfBody(answer(type, '{"a":[1]}')), '{"a":[1]}')
  }
})

test('what is none after all is text, and an empty body nothing', () => {
  assert.equal(valueOfBody(answer('application/json', '{"a":')), '{"a":')
  assert.equal(valueOfBody(answer('application/json', '')), null)
  assert.equal(valueOfBody(answer(undefined, '')), null)
})

test('text is read in its character set', () => {
  assert.equal(valueOfBody(answer('text/plain; charset=iso-8859-1', Buffer.from('grün', 'latin1'))), 'grün')
  assert.equal(valueOfBody(answer('text/plain; charset="UTF-8"', 'grün')), 'grün')
  assert.equal(valueOfBody(answer('text/plain; charset=none-such', 'grün')), 'grün')
})

test('nested as deep as the limit is a value, a level more is text', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  assert.equal(typeof valueOfBody(answer('application/json', nested(64))), 'object')
  for (const depth of [65, 100_000]) assert.equal(valueOfBody(answer('application/json', nested(depth))), nested(depth))
})

test('keys of the prototype change nothing', () => {
  const value = valueOfBody(answer('application/json', '{"__proto__":{"admin":true}}'))
  assert.equal(JSON.stringify(value), '{"__proto__":{"admin":true}}')
  assert.equal(Object.hasOwn(Object.prototype, 'admin'), false)
})

for (const [body, words] of [
  [{ error: { message: 'no title', code: 5 } }, 'no title'],
  [{ message: 'no title', error: 'Bad Request' }, 'no title'],
  [{ type: 'about:blank', title: 'Invalid', detail: 'no title' }, 'no title'],
  [{ error: 'invalid_request', error_description: 'no title' }, 'no title'],
  [{ errors: [{ message: 'no title' }, { message: 'no text' }] }, 'no title'],
  [{ errors: ['no title'] }, 'no title'],
  [{ error: { error: { detail: 'no title' } } }, 'no title'],
  ['no title', 'no title'],
  [{ code: 5 }, undefined],
  [{ message: '' }, undefined],
  [[], undefined],
  [5, undefined],
  [null, undefined],
] as const) {
  test(`${JSON.stringify(body)} says ${words}`, () => {
    assert.equal(excerptOf(answer('application/json', JSON.stringify(body))), words)
  })
}

test('an excerpt is one line, short, whole characters, and no page for people', () => {
  assert.equal(excerptOf(answer('text/plain', ' a\r\n\tb\0\u202e c ')), 'a b c')
  assert.equal(excerptOf(answer('text/plain', 'x'.repeat(500))), 'x'.repeat(500))
  assert.equal(excerptOf(answer('text/plain', 'x'.repeat(501))), `${'x'.repeat(500)}…`)
  assert.equal(excerptOf(answer('text/plain', `${'x'.repeat(499)}🙂`))?.isWellFormed(), true)
  assert.equal(excerptOf(answer('text/html', '\n<!doctype html><p>no')), undefined)
  assert.equal(excerptOf(answer('text/plain', '')), undefined)
})
