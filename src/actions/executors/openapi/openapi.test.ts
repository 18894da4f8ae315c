import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { ActionSpec, OpenApiSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import { capturedLog } from '../../../../test/support/captured-log.ts'
import { executorContext } from '../../../../test/support/executor-context.ts'
import { CorrectableError, PassingError } from '../executor.ts'
import { type Call, createOpenApiExecutors } from './openapi.ts'
import { operationHash, operationOf } from './operation.ts'

const openapi = {
  openapi: '3.0.3',
  servers: [{ url: '/api' }],
  paths: {
    '/openapi.json': { get: { operationId: 'getDocument' } },
    '/tickets/{id}/notes': {
      post: {
        operationId: 'addNote',
        description: 'Adds a note to a ticket.',
        parameters: [
          { name: 'id', in: 'path', required: true, schema: { type: 'string' } },
          { name: 'notify', in: 'query', schema: { type: 'array', items: { type: 'string' } } },
          { name: 'X-Reason', in: 'header', schema: { type: 'string' } },
        ],
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: { type: 'object', required: ['text'], properties: { text: { type: 'string' } } },
            },
          },
        },
      },
    },
  },
}
const parameters = {
  type: 'object',
  properties: { id: {}, notify: {}, 'X-Reason': {}, text: {} },
  required: ['id', 'text'],
}

/** A target that answers with what it was asked, and serves the document that it is given. */
async function target(context: TestContext) {
  const state = { document: openapi as unknown, fetches: 0, failing: false }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const isDocument = request.url === '/openapi.json'
    if (isDocument) state.fetches += 1
    const { method, url, headers } = request
    const asked = { method, url, headers, body: Buffer.concat(chunks).toString() }
    response.writeHead(isDocument && state.failing ? 500 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(isDocument ? state.document : asked))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { state, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

const call: Call = async ({ method, url, headers, body }, context, onBehalfOf) => {
  const token = onBehalfOf === undefined ? {} : { authorization: `Bearer ${await context.userToken(onBehalfOf)}` }
  await context.begin()
  const sent = { ...headers, ...token, 'idempotency-key': context.key }
  const response = await fetch(url, {
    method,
    headers: sent,
    signal: context.signal,
    ...(body === undefined ? {} : { body }),
  })
  return response.json()
}

const fetchDocument = async (url: string): Promise<unknown> => {
  const response = await fetch(url)
  if (!response.ok) throw new Error('There is no document.')
  return response.json()
}

function executorFor(source: OpenApiSpec, change: Partial<ActionSpec> = {}) {
  const { log, lines } = capturedLog()
  const kind = createOpenApiExecutors({ log, permits: ({ hostname }) => hostname === '127.0.0.1', call, fetchDocument })
  const spec = { description: 'test', parameters, openapi: { document: 'desk', operation: 'addNote' }, ...change }
  const rest = { description: 'test', models: {}, routes: {}, specialists: {} }
  const config: ConfigDocument = { ...rest, actions: { note: spec }, openapi: { desk: source } }
  const execute = async (args: Record<string, unknown>, more: Parameters<typeof executorContext>[0] = {}) => {
    const executor = kind.executorOf(config, 'note', spec)
    assert.ok(executor)
    return executor(args, executorContext(more)) as Promise<{ headers: Record<string, string> }>
  }
  return { execute, lines }
}

const note = { id: 'T 1/2', text: 'Grüße' }

test('arguments arrive where the operation has them', async (context) => {
  const { origin } = await target(context)
  const { execute } = executorFor({ document: openapi, server: `${origin}/api` })
  const { headers, ...asked } = await execute({ ...note, notify: ['a@b', 'c'], 'X-Reason': 'because' })
  assert.deepEqual(asked, {
    method: 'POST',
    url: '/api/tickets/T%201%2F2/notes?notify=a%40b&notify=c',
    body: '{"text":"Grüße"}',
  })
  assert.equal(headers['x-reason'], 'because')
  assert.equal(headers['content-type'], 'application/json')
  assert.equal(headers['idempotency-key'], 'turn/0/0')
})

test('the call is made in the name of the user where the document says so', async (context) => {
  const { origin } = await target(context)
  const { execute } = executorFor({ document: openapi, server: origin, onBehalfOf: 'api://desk/.default' })
  const { headers } = await execute(note, { userToken: async (scope) => `token-for-${scope}` })
  assert.equal(headers.authorization, 'Bearer token-for-api://desk/.default')
})

test('a document at an address is fetched once, when first needed, and its servers are relative to it', async (context) => {
  const { origin, state } = await target(context)
  const { execute } = executorFor({ url: `${origin}/openapi.json` })
  assert.equal(state.fetches, 0)
  const answers = await Promise.all([execute(note), execute(note)])
  assert.deepEqual(
    answers.map((answer) => 'url' in answer && answer.url),
    Array(2).fill('/api/tickets/T%201%2F2/notes'),
  )
  await execute(note)
  assert.equal(state.fetches, 1)
})

test('a document that cannot be had may be had another time', async (context) => {
  const { origin, state } = await target(context)
  const { execute } = executorFor({ url: `${origin}/openapi.json` })
  state.failing = true
  await assert.rejects(execute(note), (error) => error instanceof PassingError && error.untouched)
  state.failing = false
  await execute(note)
  assert.equal(state.fetches, 2)
})

test('an operation that is not what it was when it was pinned is disabled, and said so once', async (context) => {
  const { origin, state } = await target(context)
  const url = `${origin}/openapi.json`
  const pin = operationHash(operationOf({ document: openapi, url }, 'addNote'))
  const pinned = { openapi: { document: 'desk', operation: 'addNote', pin } }
  await executorFor({ url }, pinned).execute(note)

  state.document = { ...openapi, servers: [{ url: '/elsewhere' }] }
  const { execute, lines } = executorFor({ url }, pinned)
  const drifted = (error: unknown) =>
    error instanceof CorrectableError && /disabled \(tool_drifted\)/.test(error.message)
  await assert.rejects(execute(note), drifted)
  await assert.rejects(execute(note), drifted)
  assert.deepEqual(
    lines.map(({ msg, reason }) => [msg, reason]),
    [['OpenAPI operation disabled', 'tool_drifted']],
  )

  state.document = { openapi: '3.0.3' }
  await assert.rejects(executorFor({ url }, pinned).execute(note), drifted, 'nor when it is gone')
})

test('what a fetched document makes unfit is not called', async (context) => {
  const { origin, state } = await target(context)
  const unusable = (error: unknown) => error instanceof CorrectableError && /\(tool_unusable\)/.test(error.message)
  const refused = async (document: unknown, change: Partial<ActionSpec> = {}) => {
    state.document = document
    await assert.rejects(executorFor({ url: `${origin}/openapi.json` }, change).execute(note), unusable)
  }
  await refused({ ...openapi, servers: [{ url: 'https://elsewhere.example' }] })
  await refused(openapi, { parameters: { ...parameters, properties: { ...parameters.properties, more: {} } } })
  await refused('no document at all')
})

test('arguments that cannot be placed are refused before anything is asked for', async (context) => {
  const { origin } = await target(context)
  const { execute } = executorFor({ document: openapi, server: origin })
  const begin = () => Promise.reject(new Error('not expected'))
  await assert.rejects(execute({ ...note, id: '..' }, { begin }), CorrectableError)
  await assert.rejects(execute({ ...note, 'X-Reason': 'a\nb' }, { begin }), CorrectableError)
})
