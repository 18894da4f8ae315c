import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { checkDepth } from './arguments-depth.ts'

const nested = (depth: number): unknown => JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`)

test('so many levels will do, and one more will not', () => {
  for (const value of [nested(3), [[[]]], [{ a: [] }, 1], null, 'text', undefined]) checkDepth(value, 3, 'arguments')
  for (const value of [nested(4), [[[[]]]], { a: 1, b: [{ c: {} }] }]) {
    assert.throws(
      () => checkDepth(value, 3, 'arguments'),
      (error) => error instanceof ParleyError && error.code === 'invalid_request' && error.param === 'arguments',
    )
  }
})

test('what is nested beyond any stack is refused like the rest', () => {
  assert.throws(() => checkDepth(nested(30_000), 64, 'arguments'), ParleyError)
})
