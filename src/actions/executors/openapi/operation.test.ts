import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { checkParameters } from '../../arguments.ts'
import { operationHash, operationOf, parametersOf } from './operation.ts'
import type { Json } from './references.ts'

const servers = [{ url: 'https://desk.example/api/' }]

function documentOf(operation: Json, more: Json = {}, item: Json = {}): Json {
  const get = { operationId: 'op', ...operation }
  return { openapi: '3.1.0', servers, paths: { '/tickets/{id}': { ...item, post: get } }, ...more }
}

const id = { name: 'id', in: 'path', required: true, schema: { type: 'string' } }
const json = (schema: unknown, required = true) => ({ required, content: { 'application/json': { schema } } })
const schemaOf = (document: Json) => parametersOf(operationOf({ document }, 'op'))
const fails = (document: unknown, message: RegExp, at = 'op') =>
  assert.throws(() => operationOf({ document }, at), { name: 'Unusable', message })

test('arguments are the parameters and the properties of the body, as one schema', () => {
  const schema = schemaOf(
    documentOf(
      {
        parameters: [{ name: 'notify', in: 'query', description: 'Whom.', schema: { type: 'boolean' } }],
        requestBody: json({
          type: 'object',
          required: ['title', 'number'],
          properties: {
            title: { type: 'string' },
            note: { type: 'string' },
            number: { type: 'integer', readOnly: true },
          },
        }),
      },
      {},
      { parameters: [id] },
    ),
  )
  assert.deepEqual(schema, {
    type: 'object',
    properties: {
      id: { type: 'string' },
      notify: { description: 'Whom.', type: 'boolean' },
      title: { type: 'string' },
      note: { type: 'string' },
    },
    required: ['id', 'title'],
    additionalProperties: false,
  })
  assert.deepEqual(checkParameters(schema), [], 'it may stand in a config version as it is')
})

test('what a body needs is needed only where there has to be a body', () => {
  const body = json({ type: 'object', required: ['title'], properties: { title: { type: 'string' } } }, false)
  assert.deepEqual(schemaOf(documentOf({ parameters: [id], requestBody: body })).required, ['id'])
})

test('the parts of allOf count together; what is not plainly an object is the argument "body"', () => {
  const base = { type: 'object', required: ['a'], properties: { a: { type: 'string' } } }
  const components = { schemas: { Base: base } }
  const both = { allOf: [{ $ref: '#/components/schemas/Base' }, { properties: { b: { type: 'integer' } } }] }
  const of = (schema: unknown) => schemaOf(documentOf({ parameters: [id], requestBody: json(schema) }, { components }))
  assert.deepEqual(Object.keys(of(both).properties as Json), ['id', 'a', 'b'])
  assert.deepEqual(of(both).required, ['id', 'a'])
  const wholes = [
    { type: 'array', items: { type: 'string' } },
    { oneOf: [base, { type: 'object' }] },
    { type: 'object', additionalProperties: { type: 'string' } },
    { type: 'object', properties: { id: { type: 'string' } } },
    {},
  ]
  for (const schema of wholes) {
    assert.deepEqual(Object.keys(of(schema).properties as Json), ['id', 'body'], JSON.stringify(schema))
    assert.deepEqual(of(schema).required, ['id', 'body'])
  }
})

test('references are followed within the document, through parameters, bodies and schemas', () => {
  const components = {
    parameters: { 'the/id': id },
    requestBodies: { Ticket: json({ $ref: '#/components/schemas/Ticket' }) },
    schemas: {
      Ticket: { type: 'object', properties: { kind: { $ref: '#/components/schemas/Kind' } } },
      Kind: { enum: ['a'] },
    },
  }
  const schema = schemaOf(
    documentOf(
      {
        parameters: [{ $ref: '#/components/parameters/the~1id' }],
        requestBody: { $ref: '#/components/requestBodies/Ticket' },
      },
      { components },
    ),
  )
  assert.deepEqual(schema.properties, { id: { type: 'string' }, kind: { $ref: '#/$defs/Kind' } })
  assert.deepEqual(schema.$defs, { Kind: { enum: ['a'] } })
})

test('a schema that holds itself stays that, and can be used', () => {
  const Node = {
    type: 'object',
    required: ['name'],
    properties: { name: { type: 'string' }, child: { $ref: '#/components/schemas/Node' } },
  }
  const body = json({ type: 'object', properties: { tree: { $ref: '#/components/schemas/Node' } } })
  const schema = schemaOf(documentOf({ parameters: [id], requestBody: body }, { components: { schemas: { Node } } }))
  const validate = new Ajv2020().compile(schema)
  assert.equal(validate({ id: '1', tree: { name: 'a', child: { name: 'b' } } }), true)
  assert.equal(validate({ id: '1', tree: { name: 'a', child: { child: {} } } }), false)
})

test('references cannot blow a document up', () => {
  const level = (next: number) => ({
    type: 'object',
    properties: { l: { $ref: `#/components/schemas/S${next}` }, r: { $ref: `#/components/schemas/S${next}` } },
  })
  const schemas = Object.fromEntries(
    Array.from({ length: 40 }, (_, index) => [`S${index}`, index === 39 ? {} : level(index + 1)]),
  )
  const body = json({ type: 'object', properties: { top: { $ref: '#/components/schemas/S0' } } })
  const schema = schemaOf(documentOf({ parameters: [id], requestBody: body }, { components: { schemas } }))
  assert.equal(Object.keys(schema.$defs as Json).length, 40)
})

test('references in a circle, out of the document or to nothing are faults', () => {
  const through = (parameters: unknown, more: Json = {}) => documentOf({ parameters: [{ $ref: parameters }] }, more)
  const circle = { a: { $ref: '#/circle/b' }, b: { $ref: '#/circle/a' } }
  fails(through('#/circle/a', { circle }), /leads in a circle/)
  fails(through('https://elsewhere.example/a.json#/id'), /outside of the document/)
  fails(through('#/components/parameters/id'), /which is not there/)
  fails(through('#/__proto__/toString'), /which is not there/)
  fails(through('#/%E0%A4%A'), /cannot be read/)
  const all = { allOf: [{ $ref: '#/components/schemas/All' }] }
  const schema = schemaOf(
    documentOf({ parameters: [id], requestBody: json(all) }, { components: { schemas: { All: all } } }),
  )
  assert.deepEqual(Object.keys(schema.properties as Json), ['id', 'body'])
})

test('what 3.0 writes in its own way is put as JSON Schema has it', () => {
  const properties = {
    a: { type: 'string', nullable: true, enum: ['x'], example: 'x', xml: {}, 'x-own': 1 },
    b: { type: 'integer', minimum: 1, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: false },
    nullable: { type: 'boolean' },
  }
  const document = documentOf({ parameters: [id], requestBody: json({ type: 'object', properties }) })
  const { a, b, nullable } = schemaOf({ ...document, openapi: '3.0.3' }).properties as Record<string, Json>
  assert.deepEqual(a, { type: ['string', 'null'], enum: ['x', null] })
  assert.deepEqual(b, { type: 'integer', exclusiveMinimum: 1, maximum: 9 })
  assert.deepEqual(nullable, { type: 'boolean' }, 'a property may have the name of a keyword')
})

test('schemas may be 64 levels deep, and not one more', () => {
  const nested = (levels: number): Json =>
    levels === 0 ? { type: 'string' } : { type: 'array', items: nested(levels - 1) }
  const document = (levels: number) => documentOf({ parameters: [{ name: 'id', in: 'path', schema: nested(levels) }] })
  assert.ok(schemaOf(document(64)))
  fails(document(65), /nested deeper than 64 levels/)
})

test('the server is the given one, that of the operation, of the path or of the document', () => {
  const other = [{ url: 'https://other.example' }]
  const base = (document: Json, more: { url?: string; server?: string } = {}) =>
    operationOf({ document, ...more }, 'op').base
  const parameters = [id]
  assert.equal(base(documentOf({ parameters })), 'https://desk.example/api')
  assert.equal(base(documentOf({ parameters }, {}, { servers: other })), 'https://other.example')
  assert.equal(base(documentOf({ parameters, servers: other }, {}, { servers })), 'https://other.example')
  assert.equal(base(documentOf({ parameters }), { server: 'https://mine.example/v2/' }), 'https://mine.example/v2')
  const relative = documentOf({ parameters }, { servers: [{ url: '../v3' }] })
  assert.equal(base(relative, { url: 'https://docs.example/a/openapi.json' }), 'https://docs.example/v3')
  fails(relative, /is at no http\(s\) address/)
  const variables = { region: { default: 'eu' } }
  const templated = { url: 'https://{region}.example' }
  assert.equal(base(documentOf({ parameters }, { servers: [{ ...templated, variables }] })), 'https://eu.example')
  fails(documentOf({ parameters }, { servers: [templated] }), /\{region\} has no default/)
  fails(documentOf({ parameters }, { servers: [] }), /names no server/)
  fails(documentOf({ parameters }, { servers: [{ url: 'https://u:p@desk.example' }] }), /with credentials/)
})

test('what cannot be an action says why', () => {
  fails({ openapi: '3.2.0' }, /3\.0 or 3\.1/)
  fails({ swagger: '2.0' }, /3\.0 or 3\.1/)
  fails('openapi: 3.1.0', /3\.0 or 3\.1/)
  fails(documentOf({ parameters: [id] }), /^no operation "other"; operations are: op$/, 'other')
  fails({ openapi: '3.1.0' }, /there are none with an operationId/)
  fails(documentOf({}), /has \{id\} in its path and no such parameter/)
  fails(documentOf({ parameters: [id, { ...id, in: 'query' }] }), /two parameters with the name "id"/)
  fails(documentOf({ parameters: [id, { name: 'c', in: 'cookie', required: true }] }), /not supported: cookie/)
  fails(documentOf({ parameters: [{ ...id, style: 'matrix' }] }), /style matrix/)
  fails(
    documentOf({ parameters: [id], requestBody: { required: true, content: { 'text/csv': {} } } }),
    /a body that is not JSON/,
  )
  const csv = documentOf({
    parameters: [id, { name: 'c', in: 'cookie' }],
    requestBody: { content: { 'text/csv': {} } },
  })
  assert.deepEqual(Object.keys(schemaOf(csv).properties as Json), ['id'], 'what is not needed is left out')
})

test('headers that belong to the executor or the connection are no arguments', () => {
  const names = ['Authorization', 'Idempotency-Key', 'Host', 'traceparent', 'X-Reason']
  const headers = names.map((name) => ({ name, in: 'header', required: true, schema: { type: 'string' } }))
  assert.deepEqual(Object.keys(schemaOf(documentOf({ parameters: [id, ...headers] })).properties as Json), [
    'id',
    'X-Reason',
  ])
})

test('the hash is about where an operation is and what it takes, whatever the order and the answers', () => {
  const hashOf = (document: Json, more = {}) => operationHash(operationOf({ document, ...more }, 'op'))
  const document = documentOf({ parameters: [id], summary: 'Changes a ticket' })
  assert.match(hashOf(document), /^[0-9a-f]{64}$/)
  assert.equal(
    hashOf(documentOf({ summary: 'Changes a ticket', responses: { 200: {} }, tags: ['a'], parameters: [id] })),
    hashOf(document),
  )
  const others = [
    hashOf(documentOf({ parameters: [id], summary: 'Deletes a ticket' })),
    hashOf(documentOf({ parameters: [{ ...id, schema: { type: 'integer' } }], summary: 'Changes a ticket' })),
    hashOf(documentOf({ parameters: [id, { name: 'force', in: 'query' }], summary: 'Changes a ticket' })),
    hashOf(document, { server: 'https://elsewhere.example' }),
  ]
  assert.equal(new Set([hashOf(document), ...others]).size, 5)
})
