import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConfigDocument } from '#config/document.ts'
import { checkActions as check } from './check.ts'
import { createBuiltinExecutors } from './executors/builtin/registry.ts'
import { createExecutors } from './executors/executors.ts'

const executors = createExecutors([createBuiltinExecutors()])
const checkActions = (document: Pick<ConfigDocument, 'actions'>) =>
  check({ description: '', models: {}, routes: {}, specialists: {}, ...document }, executors)

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

test('an action names exactly one way to do it', () => {
  const { builtin, ...nobody } = SOUND
  const http = { method: 'GET', url: 'https://tools.example/' } as const
  const faults = checkActions({ actions: { nobody, both: { ...nobody, builtin, http } } })
  assert.deepEqual(
    faults.map(({ path, message }) => [path.join('.'), message]),
    [
      ['actions.nobody', 'has to name one of builtin, http, mcp, openapi; none is here'],
      ['actions.both', 'has to name one of builtin, http, mcp, openapi; here are builtin and http'],
    ],
  )
})

test('an approval speaks of arguments that there are', () => {
  const parameters = { type: 'object', properties: { title: { type: 'string' } } }
  const approval = { editable: ['title', 'text'], when: { title: ['x'], 'size.w': [1] } }
  const faults = checkActions({ actions: { act: { ...SOUND, parameters, approval } } })
  assert.deepEqual(
    faults.map(({ path, message }) => [path.join('/'), message]),
    [
      ['actions/act/approval/editable/1', 'no argument "text"'],
      ['actions/act/approval/when/size.w', 'names no argument'],
    ],
  )
})
