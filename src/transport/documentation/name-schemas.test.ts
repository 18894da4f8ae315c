import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameSchemas } from './name-schemas.ts'

const inner = { title: 'Inner', type: 'object', properties: { title: { type: 'string' } } }

test('schemas with a title move to the components, wherever and however deep they stand', () => {
  const document = { paths: { '/a': { schema: { title: 'Outer', anyOf: [inner, { type: 'null' }] } }, '/b': [inner] } }
  assert.deepEqual(nameSchemas(document), {
    paths: { '/a': { schema: { $ref: '#/components/schemas/Outer' } }, '/b': [{ $ref: '#/components/schemas/Inner' }] },
    components: {
      schemas: {
        Inner: { type: 'object', properties: { title: { type: 'string' } } },
        Outer: { anyOf: [{ $ref: '#/components/schemas/Inner' }, { type: 'null' }] },
      },
    },
  })
})

test('the title of the document is none of a schema, and other components stay', () => {
  const document = { info: { title: 'Parley', version: '1.0.0' }, components: { securitySchemes: {} } }
  assert.deepEqual(nameSchemas(document), { ...document, components: { securitySchemes: {}, schemas: {} } })
})

test('two shapes of one title are refused', () => {
  assert.throws(() => nameSchemas({ a: inner, b: { ...inner, type: 'array' } }), /Two shapes are called Inner/)
})
