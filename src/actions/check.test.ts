import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConfigDocument } from '#config/document.ts'
import { checkActions as check } from './check.ts'
import type { PermittedActions } from './executors/check.ts'

const PERMITTED: PermittedActions = {
  functions: ['calculate', 'current_time'],
  egressHosts: [],
  mcpCommands: [],
  pinned: false,
}
const checkActions = (document: Partial<ConfigDocument>, permitted = PERMITTED) =>
  check({ description: '', models: {}, routes: {}, specialists: {}, ...document }, permitted)

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
  const permitted = { ...PERMITTED, egressHosts: ['tools.example'] }
  const faults = checkActions({ actions: { nobody, both: { ...nobody, builtin, http } } }, permitted)
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

test('where the environment wants it, tools of others are pinned', () => {
  const { builtin, ...action } = SOUND
  const pin = 'a'.repeat(64)
  const document = {
    mcpServers: { desk: { url: 'https://desk.example/mcp' } },
    openapi: { api: { url: 'https://desk.example/openapi.json' } },
    actions: {
      own: { ...action, builtin },
      tool: { ...action, mcp: { server: 'desk', tool: 'open' } },
      operation: { ...action, openapi: { document: 'api', operation: 'open' } },
      pinned: { ...action, mcp: { server: 'desk', tool: 'close', pin } },
    },
  }
  const permitted = { ...PERMITTED, egressHosts: ['desk.example'] }
  assert.deepEqual(checkActions(document, permitted), [])
  const faults = checkActions(document, { ...permitted, pinned: true })
  assert.deepEqual(
    faults.map(({ path }) => path.join('.')),
    ['actions.tool.mcp.pin', 'actions.operation.openapi.pin'],
  )
  assert.match(faults[0]?.message ?? '', /^is missing: .*PARLEY_PINS/)
})

test('what the environment permits can be handed to a thread', () => {
  const permitted = structuredClone({ ...PERMITTED, egressHosts: ['desk.example'], mcpCommands: [['npx', 'tool']] })
  const { builtin: _, ...action } = SOUND
  const http = { method: 'GET', url: 'https://desk.example/' } as const
  assert.deepEqual(checkActions({ actions: { look: { ...action, http } } }, permitted), [])
})
