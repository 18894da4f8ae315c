import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkActions } from './check.ts'

const SOUND = { description: 'Calculates', builtin: 'calculate', parameters: { type: 'object' } }

test('sound actions, or none, have no faults', () => {
  assert.deepEqual(checkActions({ actions: { calculate: SOUND } }), [])
  assert.deepEqual(checkActions({}), [])
})

test('an unknown built-in function is named, with those there are', () => {
  assert.deepEqual(checkActions({ actions: { good: SOUND, bad: { ...SOUND, builtin: 'constructor' } } }), [
    {
      path: ['actions', 'bad', 'builtin'],
      message: 'no built-in function "constructor"; there are: calculate, current_time',
    },
  ])
})

test('faults of parameters are named with their place in the document', () => {
  const parameters = { type: 'object', properties: { a: { type: 'strng' } } }
  const [fault, ...more] = checkActions({ actions: { bad: { ...SOUND, parameters } } })
  assert.deepEqual(fault?.path, ['actions', 'bad', 'parameters', 'properties', 'a', 'type'])
  assert.deepEqual(more, [])
})
