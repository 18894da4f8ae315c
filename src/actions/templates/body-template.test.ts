import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { bodyNames, renderBody } from './body-template.ts'

test('a string that is nothing but a placeholder keeps the type, others become text', () => {
  const args = { n: 5, list: [1, { a: null }], no: false, none: null, text: '{n}' }
  const template = {
    n: '{n}',
    deep: [{ list: '{list}' }, '{no}', '{none}'],
    said: 'n={n}, {text}: {list}',
    fixed: 7,
    is: null,
  }
  assert.deepEqual(renderBody(template, args), {
    n: 5,
    deep: [{ list: [1, { a: null }] }, false, null],
    said: 'n=5, {n}: [1,{"a":null}]',
    fixed: 7,
    is: null,
  })
})

test('what was left out is dropped: from an object, from a list, all of it', () => {
  assert.deepEqual(renderBody({ a: '{x}', b: ['{x}', 'y {x}', 1], c: { d: 'n {x}' } }, {}), { b: [1], c: {} })
  assert.equal(renderBody('{x}', {}), undefined)
  assert.deepEqual(renderBody({ a: '{toString}', b: '{__proto__}', c: '{constructor}' }, {}), {})
})

test('braces that are no placeholders are text', () => {
  const query = 'query { ticket(id: 1) { title } } {} { "a": 1 }'
  assert.equal(renderBody(query, { title: 'x' }), query)
  assert.deepEqual(bodyNames(query), [])
})

test('a key of the prototype is a key like any other', () => {
  const args = JSON.parse('{"all":{"__proto__":{"admin":true},"constructor":{"prototype":1}},"__proto__":"own"}')
  const body = renderBody({ '{all}': '{all}', own: '{__proto__}' }, args)
  assert.equal(JSON.stringify(body), '{"{all}":{"__proto__":{"admin":true},"constructor":{"prototype":1}},"own":"own"}')
  assert.equal(Object.hasOwn(Object.prototype, 'admin'), false)
  const template = JSON.parse('{"__proto__":{"a":"{all}"}}')
  const made = renderBody(template, { all: 1 })
  assert.equal(JSON.stringify(made), '{"__proto__":{"a":1}}')
  assert.equal(Object.getPrototypeOf(made), Object.prototype)
})

test('placeholders are told with their places', () => {
  assert.deepEqual(bodyNames({ a: '{x} {y}', b: [1, { c: '{x}' }], d: null }), [
    { name: 'x', path: ['a'] },
    { name: 'y', path: ['a'] },
    { name: 'x', path: ['b', 1, 'c'] },
  ])
})

test('whatever a text, it arrives as it is and changes nothing around it', (t) => {
  const seed = randomInt(2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const holds = (text: string) => {
    const body = JSON.stringify(
      renderBody({ alone: '{text}', within: '<{text}>', fixed: '$& {other}' }, { text, other: '$1' }),
    )
    assert.deepEqual(JSON.parse(body), { alone: text, within: `<${text}>`, fixed: '$& $1' })
  }
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: fc.constantFrom('"', '\\', '{', '}', '$', 'text', '&') }),
      ),
      holds,
    ),
    { seed, numRuns: 1000 },
  )
})
