import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isTooDeep, MOST_DEEP } from './json-depth.ts'

const nest = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth)

test('a body may be nested up to the limit, and not one deeper', () => {
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":[', ']}'],
  ] as const) {
    const each = open.length === 1 ? 1 : 2
    assert.equal(isTooDeep(nest(MOST_DEEP / each, open, close)), false)
    assert.equal(isTooDeep(`[${nest(MOST_DEEP / each, open, close)}]`), true)
  }
})

test('what only looks like nesting is none', () => {
  for (const text of [
    JSON.stringify('['.repeat(1000)),
    JSON.stringify(['{"\\"[{'.repeat(500), '\\', '\\\\"', '[['.repeat(500)]),
    `[${'[],{},'.repeat(1000)}[]]`,
    JSON.stringify(Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`[{${index}`, [index]]))),
  ]) {
    assert.equal(isTooDeep(text), false)
    JSON.parse(text)
  }
})

test('it is as deep as what is parsed of it', () => {
  const depthOf = (value: unknown): number =>
    value !== null && typeof value === 'object' ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat(2 * MOST_DEEP), (value, more) => {
      const text = `${'['.repeat(more)}${JSON.stringify(value)}${']'.repeat(more)}`
      assert.equal(isTooDeep(text), more + depthOf(value) > MOST_DEEP)
    }),
  )
})

test('text that is no JSON is walked to its end, and no further', () => {
  for (const text of [`${'{['.repeat(90)}"`, `${']'.repeat(500)}`, '"'.repeat(1001), `"${'\\'.repeat(999)}`]) {
    assert.equal(isTooDeep(text), false)
  }
})
