import assert from 'node:assert/strict'
import { test } from 'node:test'
import { executorContext } from '../../../../test/support/executor-context.ts'
import { arithmetic } from './arithmetic.ts'

function result(expression: unknown): unknown {
  return arithmetic({ expression }, executorContext())
}

const results: Record<string, number> = {
  '0.1 + 0.2': 0.3,
  '1.1 * 1.1': 1.21,
  '1 / 3': 0.333333333333333,
  '2 / 3': 0.666666666666667,
  '2 ^ 53 - 1': 9007199254740991,
  '10 ^ 21': 1e21,
  '0 * -1': 0,
  '1e-300 * 1': 1e-300,
}

for (const [expression, value] of Object.entries(results)) {
  test(`${expression} is told as ${value}`, () => assert.deepEqual(result(expression), { result: value }))
}

test('what is no text is refused in words', () => {
  assert.throws(() => result(5), { name: 'CorrectableError', message: 'The argument "expression" has to be text.' })
  assert.throws(() => result(undefined), { name: 'CorrectableError' })
})
