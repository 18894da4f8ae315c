import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ActionSpec, OpenApiSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import { capturedLog } from '../../../../test/support/captured-log.ts'
import { checkOperation } from './check.ts'
import { createOpenApiExecutors } from './openapi.ts'
import { operationHash, operationOf } from './operation.ts'

const permits = ({ hostname }: URL) => hostname === 'desk.example'
const never = () => Promise.reject(new Error('not expected'))
const kind = createOpenApiExecutors({ log: capturedLog().log, permits, call: never, fetchDocument: never })

const document = {
  openapi: '3.1.0',
  servers: [{ url: 'https://desk.example' }],
  paths: {
    '/tickets/{id}': {
      get: {
        operationId: 'getTicket',
        parameters: [
          { name: 'id', in: 'path', required: true, schema: { type: 'string' } },
          { name: 'fields', in: 'query', schema: { type: 'string' } },
        ],
      },
    },
  },
}
const parameters = { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] }

/** The faults of a version with one document and so many actions, as `path: message`. */
function faultsOf(source: OpenApiSpec | undefined, change: Partial<ActionSpec> = {}, actions = ['a']): string[] {
  const spec = { description: 'test', parameters, openapi: { document: 'desk', operation: 'getTicket' }, ...change }
  const config: ConfigDocument = {
    description: 'test',
    models: {},
    routes: {},
    specialists: {},
    actions: Object.fromEntries(actions.map((name) => [name, spec])),
    ...(source ? { openapi: { desk: source } } : {}),
  }
  const faults = actions.flatMap((name) => checkOperation(config, name, spec, permits))
  return faults.map(({ path, message }) => `${path.join('.')}: ${message}`)
}

const using = (operation: string, pin?: string) => ({
  openapi: { document: 'desk', operation, ...(pin === undefined ? {} : { pin }) },
})

test('an action may leave out what the operation does not need', () => {
  assert.deepEqual(faultsOf({ document }), [])
  const all = { ...parameters, properties: { id: { const: 'T-1' }, fields: { enum: ['title'] } } }
  assert.deepEqual(faultsOf({ document }, { parameters: all }), [], 'and may be stricter')
})

test('an action asks for nothing that the operation does not take, and for all that it needs', () => {
  const more = { ...parameters, properties: { id: {}, force: {} } }
  assert.deepEqual(faultsOf({ document }, { parameters: more }), [
    'actions.a.parameters.properties.force: is no argument of getTicket; it takes: id, fields',
  ])
  assert.deepEqual(faultsOf({ document }, { parameters: { type: 'object', properties: { id: {} } } }), [
    'actions.a.parameters.required: has to list "id": getTicket needs it',
  ])
})

test('a document and an operation have to be there', () => {
  assert.deepEqual(faultsOf(undefined), [
    'actions.a.openapi.document: no OpenAPI document "desk"; there are none under openapi',
  ])
  assert.deepEqual(faultsOf({ document }, using('getTickets')), [
    'actions.a.openapi.operation: no operation "getTickets"; operations are: getTicket',
  ])
  const place = ['openapi.desk: needs either a url or the document itself']
  assert.deepEqual(faultsOf({}), place)
  assert.deepEqual(faultsOf({ document, url: 'https://desk.example/openapi.json' }, {}, ['a', 'b']), place, 'told once')
})

test('hosts are those that the environment permits', () => {
  const elsewhere = 'the environment does not permit the host elsewhere.example (PARLEY_EGRESS_HOSTS)'
  assert.deepEqual(faultsOf({ url: 'https://desk.example/openapi.json?v=1' }), [])
  assert.deepEqual(faultsOf({ url: 'https://elsewhere.example/openapi.json' }), [`openapi.desk.url: ${elsewhere}`])
  assert.deepEqual(faultsOf({ document, server: 'https://elsewhere.example' }), [`openapi.desk.server: ${elsewhere}`])
  const moved = { ...document, servers: [{ url: 'https://elsewhere.example' }] }
  assert.deepEqual(faultsOf({ document: moved }), [`actions.a.openapi.operation: is at a server where ${elsewhere}`])
  assert.deepEqual(faultsOf({ document: moved, server: 'https://desk.example' }), [])
  assert.match(faultsOf({ url: 'file:///etc/passwd' }).join(), /^openapi\.desk\.url: is not an http/)
  assert.match(faultsOf({ url: 'https://u:p@desk.example/' }).join(), /must not carry credentials/)
})

test('a pin that is not the hash of the operation is told together with that', () => {
  const hash = operationHash(operationOf({ document }, 'getTicket'))
  assert.deepEqual(faultsOf({ document }, using('getTicket', hash)), [])
  assert.deepEqual(faultsOf({ document }, using('getTicket', 'a'.repeat(64))), [
    `actions.a.openapi.pin: is not the hash of this operation, which is ${hash}`,
  ])
})

test('an action of another kind is none of its business', () => {
  const spec: ActionSpec = { description: 'test', parameters, builtin: 'arithmetic' }
  const config: ConfigDocument = { description: 'test', models: {}, routes: {}, specialists: {}, actions: { a: spec } }
  assert.deepEqual(checkOperation(config, 'a', spec, permits), [])
  assert.equal(kind.executorOf(config, 'a', spec), undefined)
})

test('the token of a user is not sent to a server in the clear', () => {
  const clear = { document, server: 'http://desk.example' }
  assert.deepEqual(faultsOf(clear), [])
  assert.deepEqual(faultsOf({ ...clear, onBehalfOf: 'api://desk/.default' }), [
    'openapi.desk.onBehalfOf: needs https: at http://desk.example the token of a user would be sent in the clear',
  ])
})
