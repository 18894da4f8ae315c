import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorrectableError } from '../executor.ts'
import { operationOf } from './operation.ts'
import type { Json } from './references.ts'
import { requestOf } from './request.ts'

const servers = [{ url: 'https://desk.example/api' }]

/** The request that one parameter, or some, make of the arguments. */
function requested(parameters: readonly Json[], args: Json, path = '/a', more: Json = {}) {
  const document = {
    openapi: '3.1.0',
    servers,
    paths: { [path]: { patch: { operationId: 'op', parameters, ...more } } },
  }
  return requestOf(operationOf({ document }, 'op'), args)
}

const inPath = (name: string, more: Json = {}) => ({ name, in: 'path', ...more })
const inQuery = (more: Json = {}) => ({ name: 'q', in: 'query', ...more })
const pathOf = (value: unknown, more: Json = {}) =>
  requested([inPath('id', more)], { id: value }, '/t/{id}/x').url.slice(24)
const queryOf = (value: unknown, more: Json = {}) => requested([inQuery(more)], { q: value }).url.slice(26)
const refused = (attempt: () => unknown, message: RegExp) =>
  assert.throws(attempt, (error) => error instanceof CorrectableError && message.test(error.message))

test('a part of the path is encoded, whatever it holds', () => {
  assert.equal(pathOf('a b/c?d#e%f'), '/t/a%20b%2Fc%3Fd%23e%25f/x')
  assert.equal(pathOf('grün'), '/t/gr%C3%BCn/x')
  assert.equal(pathOf(7), '/t/7/x')
  assert.equal(pathOf('..a'), '/t/..a/x')
  assert.equal(pathOf(['a,b', 'c']), '/t/a%2Cb,c/x')
  assert.equal(pathOf({ a: 1, b: 'x y' }), '/t/a,1,b,x%20y/x')
  assert.equal(pathOf({ a: 1, b: 2 }, { explode: true }), '/t/a=1,b=2/x')
  assert.equal(pathOf('\ud800'), '/t/%EF%BF%BD/x')
})

test('a part of the path leads nowhere else', () => {
  for (const id of ['', '.', '..', '../admin', 'a/../b', 'a\\..\\b', '/etc', 'a/', []]) {
    refused(() => pathOf(id), /must not be empty/)
  }
  refused(() => requested([inPath('a'), inPath('b')], { a: '.', b: '.' }, '/t/{a}{b}/x'), /must not be empty/)
})

test('a query is written in the style that is asked for', () => {
  assert.equal(queryOf('a&b=c d'), '?q=a%26b%3Dc%20d')
  assert.equal(queryOf(''), '?q=')
  assert.equal(queryOf(false), '?q=false')
  assert.equal(queryOf(['a', 'b,c']), '?q=a&q=b%2Cc')
  assert.equal(queryOf(['a', 'b,c'], { explode: false }), '?q=a,b%2Cc')
  assert.equal(queryOf(['a', 'b'], { style: 'spaceDelimited' }), '?q=a%20b')
  assert.equal(queryOf(['a', 'b'], { style: 'pipeDelimited' }), '?q=a%7Cb')
  assert.equal(queryOf({ a: 1, b: 'x&y' }), '?a=1&b=x%26y')
  assert.equal(queryOf({ a: 1, b: 2 }, { explode: false }), '?q=a,1,b,2')
  assert.equal(queryOf({ a: 1, 'b]': 2 }, { style: 'deepObject' }), '?q%5Ba%5D=1&q%5Bb%5D%5D=2')
  assert.equal(queryOf({ a: [1] }, { content: { 'application/json': {} } }), '?q=%7B%22a%22%3A%5B1%5D%7D')
  assert.equal(queryOf([]), '')
  assert.equal(requested([inQuery()], {}).url, 'https://desk.example/api/a')
})

test('a header takes printable ASCII, and nothing that ends it', () => {
  const headerOf = (value: unknown) => requested([{ name: 'X-Reason', in: 'header' }], { 'X-Reason': value }).headers
  assert.deepEqual(headerOf(['a b', 7]), { 'x-reason': 'a b,7' })
  for (const value of ['a\r\nhost: evil', 'a\nb', 'a\0', 'ä', 'a\tb'])
    refused(() => headerOf(value), /printable ASCII only/)
})

test('the rest is the body', () => {
  const properties = { title: { type: 'string' }, tags: { type: 'array' } }
  const more = (required: boolean, schema: Json = { type: 'object', properties }) => ({
    requestBody: { required, content: { 'application/merge-patch+json': { schema } } },
  })
  const sent = (args: Json, of: Json) => {
    const { body, headers } = requested([inQuery()], args, '/a', of)
    return [body, headers['content-type']]
  }
  const type = 'application/merge-patch+json'
  assert.deepEqual(sent({ q: 'x', title: 'T', tags: [1] }, more(true)), ['{"title":"T","tags":[1]}', type])
  assert.deepEqual(sent({ q: 'x' }, more(true)), ['{}', type])
  assert.deepEqual(sent({ q: 'x' }, more(false)), [undefined, undefined])
  assert.deepEqual(sent({ body: [1, 2] }, more(true, { type: 'array' })), ['[1,2]', type])
  assert.deepEqual(sent({}, more(false, { type: 'array' })), [undefined, undefined])
})

test('an argument that has no place is not dropped in silence, and one that has to be there is missed', () => {
  refused(() => requested([inQuery()], { q: 1, other: 2 }), /^"other" is no argument/)
  refused(() => requested([inQuery()], JSON.parse('{"__proto__": {"q": 1}}')), /^"__proto__" is no argument/)
  refused(() => requested([inPath('id')], {}, '/t/{id}'), /id is missing/)
  refused(() => requested([inQuery({ required: true, name: 'toString' })], {}), /toString is missing/)
})
