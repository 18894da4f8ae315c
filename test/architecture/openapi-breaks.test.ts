import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Document, documentBreaks, movesMajor } from '../support/openapi/document-breaks.ts'
import type { Schema } from '../support/openapi/schema-breaks.ts'

function base(): Document {
  const reply: Schema = {
    type: 'object',
    required: ['id', 'kind'],
    properties: {
      id: { type: 'string' },
      kind: { type: 'string', enum: ['a', 'b'] },
      note: { anyOf: [{ type: 'string' }, { type: 'null' }] },
      items: { type: 'array', items: { $ref: '#/components/schemas/Item' } },
    },
  }
  const body: Schema = {
    type: 'object',
    required: ['text'],
    properties: {
      text: { type: 'string', minLength: 1, maxLength: 10 },
      mode: { type: 'string', enum: ['x', 'y'] },
      size: { type: 'number' },
    },
  }
  return {
    info: { version: '1.2.3' },
    paths: {
      '/things': {
        get: {
          operationId: 'listThings',
          parameters: [{ name: 'limit', in: 'query', schema: { type: 'integer', maximum: 100 } }],
          responses: { 200: { content: { 'application/json': { schema: reply } } }, 400: {} },
        },
        post: {
          operationId: 'createThing',
          requestBody: { content: { 'application/json': { schema: body } } },
          responses: {
            201: {
              content: { 'application/json': { schema: reply }, 'text/event-stream': { schema: { type: 'string' } } },
            },
          },
        },
      },
    },
    components: { schemas: { Item: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } } },
  }
}

/** The parts of the document that the cases change. */
function partsOf(document: Document) {
  const methods = document.paths['/things']
  const [get, post] = [methods?.get, methods?.post]
  const reply = get?.responses[200]?.content?.['application/json']?.schema
  const body = post?.requestBody?.content['application/json']?.schema
  const item = document.components?.schemas?.Item
  assert.ok(methods && get && post && reply?.properties && body?.properties && item?.properties && get.parameters)
  const { properties: replied } = reply
  const { properties: asked } = body
  const { properties: items } = item
  const { parameters } = get
  return { document, methods, get, post, reply, replied, body, asked, item, items, parameters }
}

type Change = (parts: ReturnType<typeof partsOf>) => void

const breaking: Record<string, [change: Change, found: string]> = {
  'a removed path': [({ document }) => delete document.paths['/things'], 'GET /things is gone'],
  'a removed method': [({ methods }) => delete methods.post, 'POST /things is gone'],
  'another operation id': [
    ({ get }) => Object.assign(get, { operationId: 'things' }),
    'GET /things is called things now',
  ],
  'a removed parameter': [({ get }) => Object.assign(get, { parameters: [] }), 'GET /things query limit is gone'],
  'a parameter that became required': [
    ({ parameters: [limit] }) => Object.assign(limit ?? {}, { required: true }),
    'GET /things query limit is required now',
  ],
  'a new required parameter': [
    ({ parameters }) => parameters.push({ name: 'q', in: 'query', required: true }),
    'GET /things query q is required now',
  ],
  'a tighter limit of a parameter': [
    ({ parameters: [limit] }) => Object.assign(limit?.schema ?? {}, { maximum: 50 }),
    'GET /things query limit has a narrower maximum',
  ],
  'a body that became required': [
    ({ post }) => Object.assign(post.requestBody ?? {}, { required: true }),
    'POST /things needs a body now',
  ],
  'a removed field of the body': [({ asked }) => delete asked.size, 'POST /things body.size is gone'],
  'a new required field of the body': [
    ({ body, asked }) => {
      asked.more = { type: 'string' }
      body.required?.push('more')
    },
    'POST /things body.more is required now',
  ],
  'a field of the body that became required': [
    ({ body }) => body.required?.push('mode'),
    'POST /things body.mode is required now',
  ],
  'a removed enum value of the body': [
    ({ asked }) => Object.assign(asked, { mode: { type: 'string', enum: ['x'] } }),
    'POST /things body.mode no longer takes y',
  ],
  'free text that became an enum': [
    ({ asked }) => Object.assign(asked, { text: { ...asked.text, enum: ['a'] } }),
    'POST /things body.text no longer takes anything else',
  ],
  'a changed type in the body': [
    ({ asked }) => Object.assign(asked, { text: { type: 'integer' } }),
    'POST /things body.text was string and is integer',
  ],
  'a number in the body that may only be an integer': [
    ({ asked }) => Object.assign(asked, { size: { type: 'integer' } }),
    'POST /things body.size was number and is integer',
  ],
  'a shorter text in the body': [
    ({ asked }) => Object.assign(asked, { text: { ...asked.text, maxLength: 9 } }),
    'POST /things body.text has a narrower maxLength',
  ],
  'a new pattern in the body': [
    ({ asked }) => Object.assign(asked, { text: { ...asked.text, pattern: '^a' } }),
    'POST /things body.text has another pattern',
  ],
  'a body that takes no further fields': [
    ({ body }) => Object.assign(body, { additionalProperties: false }),
    'POST /things body takes no further fields now',
  ],
  'another media type': [
    ({ post }) => delete post.responses[201]?.content?.['text/event-stream'],
    'POST /things 201 is no longer text/event-stream',
  ],
  'a removed success': [({ post }) => Object.assign(post, { responses: { 200: {} } }), 'POST /things 201 is gone'],
  'a removed field of the reply': [({ replied }) => delete replied.items, 'GET /things 200.items is gone'],
  'a field of the reply that may be missing': [
    ({ reply }) => Object.assign(reply, { required: ['id'] }),
    'GET /things 200.kind may be missing now',
  ],
  'a changed type in the reply': [
    ({ replied }) => Object.assign(replied, { id: { type: 'integer' } }),
    'GET /things 200.id was string and is integer',
  ],
  'a field of the reply that may be null': [
    ({ replied }) => Object.assign(replied, { id: { anyOf: [{ type: 'string' }, { type: 'null' }] } }),
    'GET /things 200.id was string and is null',
  ],
  'an integer in the reply that became a number': [
    ({ items }) => Object.assign(items, { n: { type: 'number' } }),
    'GET /things 200.items[].n was integer and is number',
  ],
  'a reply that is no longer described': [
    ({ get }) => Object.assign(get.responses, { 200: { content: { 'application/json': {} } } }),
    'GET /things 200 is no longer described',
  ],
}

for (const [name, [change, found]] of Object.entries(breaking)) {
  test(`${name} breaks clients`, () => {
    const after = base()
    change(partsOf(after))
    assert.ok(documentBreaks(base(), after).includes(found), documentBreaks(base(), after).join('\n'))
  })
}

const harmless: Record<string, Change> = {
  'nothing new': () => {},
  'a new path': ({ document }) => Object.assign(document.paths, { '/more': { get: { responses: {} } } }),
  'a new method': ({ methods }) => Object.assign(methods, { put: { responses: {} } }),
  'a new optional parameter': ({ parameters }) => parameters.push({ name: 'q', in: 'query' }),
  'a wider limit': ({ parameters: [limit] }) => Object.assign(limit?.schema ?? {}, { maximum: 200 }),
  'a new optional field of the body': ({ asked }) => Object.assign(asked, { more: { type: 'string' } }),
  'a field of the body that became optional': ({ body }) => Object.assign(body, { required: [] }),
  'a new enum value in the body': ({ asked }) =>
    Object.assign(asked, { mode: { type: 'string', enum: ['x', 'y', 'z'] } }),
  'a body that takes more than before': ({ asked }) =>
    Object.assign(asked, { text: { anyOf: [{ type: 'string', minLength: 1, maxLength: 20 }, { type: 'null' }] } }),
  'a new field of the reply': ({ reply, replied }) => {
    replied.more = { type: 'string' }
    reply.required?.push('more')
  },
  'a new enum value in the reply': ({ replied }) =>
    Object.assign(replied, { kind: { type: 'string', enum: ['a', 'b', 'c'] } }),
  'a field of the reply that is no longer null': ({ replied }) => Object.assign(replied, { note: { type: 'string' } }),
  'an error less, another more': ({ get }) => {
    delete get.responses[400]
    get.responses[404] = {}
  },
}

for (const [name, change] of Object.entries(harmless)) {
  test(`${name} breaks nobody`, () => {
    const after = base()
    change(partsOf(after))
    assert.deepEqual(documentBreaks(base(), after), [])
  })
}

test('the version moves with its first number that is not zero', () => {
  assert.equal(movesMajor('1.2.3', '2.0.0'), true)
  assert.equal(movesMajor('1.2.3', '1.3.0'), false)
  assert.equal(movesMajor('0.1.0', '0.2.0'), true)
  assert.equal(movesMajor('0.1.0', '0.1.1'), false)
  assert.equal(movesMajor('0.9.0', '1.0.0'), true)
  assert.equal(movesMajor('0.0.0', '0.0.1'), false)
})
