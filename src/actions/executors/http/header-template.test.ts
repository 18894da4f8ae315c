import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headerNameFault, MAX_HEADER_LENGTH, renderHeaders } from './header-template.ts'

test('arguments stand in values as they are; what names one that was left out goes', () => {
  const templates = { 'X-Tenant': 't-{tenant}/{n}', 'x-maybe': '{maybe}', 'x-proto': '{constructor}', 'x-fixed': 'a b' }
  assert.deepEqual(renderHeaders(templates, { tenant: 'a: "b"', n: 5 }), { 'x-tenant': 't-a: "b"/5', 'x-fixed': 'a b' })
})

for (const value of [
  'a\r\nx-admin: 1',
  'a\nb',
  'a\rb',
  '\0',
  'a\tb',
  '\x7f',
  'ä',
  '\u2028',
  '漢',
  '\ud800',
  { a: '\u0085' },
]) {
  test(`${JSON.stringify(value)} does not get into a header`, () => {
    assert.throws(() => renderHeaders({ 'x-a': '{a}' }, { a: value }), {
      name: 'CorrectableError',
      message: /^The argument "a" /,
    })
  })
}

test('a line break inside a structure is escaped before it gets there', () => {
  assert.deepEqual(renderHeaders({ 'x-a': '{a}' }, { a: { b: '\r\n' } }), { 'x-a': '{"b":"\\r\\n"}' })
})

test('a value is as long as the limit and no longer', () => {
  const longest = 'x'.repeat(MAX_HEADER_LENGTH - 1)
  assert.deepEqual(renderHeaders({ 'x-a': '-{a}' }, { a: longest }), { 'x-a': `-${longest}` })
  for (const a of [`${longest}x`, 'x'.repeat(1_048_576)]) {
    assert.throws(() => renderHeaders({ 'x-a': '-{a}' }, { a }), {
      name: 'CorrectableError',
      message: /4096 characters/,
    })
  }
})

test('names that are ours, or no names, are not up to a version', () => {
  const ours = [
    'authorization',
    'Host',
    'CONTENT-LENGTH',
    'transfer-encoding',
    'Idempotency-Key',
    'traceparent',
    'cookie',
    'connection',
  ]
  for (const name of ours) assert.equal(headerNameFault(name), 'is a header that is not up to a config version')
  for (const name of ['', 'a b', 'a:', 'ä', 'x\r\ny', '__proto__ ', ':authority'])
    assert.equal(headerNameFault(name), 'is no name of a header')
  for (const name of ['x-api-version', 'Accept', 'content-type', 'prefer'])
    assert.equal(headerNameFault(name), undefined)
})
