import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Ajv, type ValidateFunction } from 'ajv'
import { startApp, type TestApp } from '../support/app.ts'
import { chatConfig } from '../support/chat-config.ts'
import { collect, nativeClient } from '../support/native-client.ts'
import { answerSchema } from '../support/openapi/answer-schema.ts'

let app: TestApp
let client: ReturnType<typeof nativeClient>
const ajv = new Ajv({ strict: false })

before(async () => {
  const price = { input: 1, output: 2 }
  const offline = {
    provider: 'offline' as const,
    contextWindow: 32_000,
    continuation: 'restart' as const,
    price,
    pace: 1e5,
  }
  const config = chatConfig({ primary: offline })
  const { calculate } = config.actions ?? {}
  assert.ok(calculate)
  config.actions = { ...config.actions, careful: { ...calculate, approval: { ownAllowed: true } } }
  app = await startApp({ config })
  client = nativeClient(app.url)
  const { body } = await client.call('GET', '/openapi.json')
  ajv.addSchema({ ...(closed(body) as object), $id: 'document' })
})

after(() => app.stop())

/** Nothing but what is documented may be in an answer. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (schema === null || typeof schema !== 'object') return schema
  const parts = Object.fromEntries(Object.entries(schema).map(([key, part]) => [key, closed(part)]))
  return 'properties' in parts && !('additionalProperties' in parts) ? { ...parts, additionalProperties: false } : parts
}

function documented(method: string, path: string, status: number): ValidateFunction {
  return ajv.compile({ $ref: `document${answerSchema(method, path, status)}` })
}

test('every answer has what is documented of it, and nothing else', async () => {
  const conversation = await client.conversation('helper')
  const { turn, events } = await client.stream(conversation, 'What is 6 * 7?')
  const [run] = (await collect(events)).flatMap(({ type, data }) => (type === 'run' ? (data as { id: string }) : []))
  await client.call('POST', `/api/v1/turns/${turn}/feedback`, { rating: 'up', comment: 'Right.' })
  const asked = { arguments: { expression: '6*7' } }
  const { body: waiting } = await client.call('POST', '/api/v1/actions/careful/runs', asked)
  const calls: [method: string, path: string, status: number, of?: string, body?: unknown][] = [
    ['GET', '/health/live', 200],
    ['GET', '/health/ready', 200],
    ['GET', '/api/capabilities', 200],
    ['GET', '/api/v1/specialists', 200],
    ['POST', '/api/v1/conversations', 201, '', { specialist: 'plain' }],
    ['GET', '/api/v1/conversations', 200],
    ['GET', '/api/v1/conversations/{id}', 200, conversation],
    ['PATCH', '/api/v1/conversations/{id}', 200, conversation, { title: 'Sums' }],
    ['GET', '/api/v1/conversations/{id}/messages', 200, conversation],
    ['POST', '/api/v1/conversations/{id}/turns', 200, conversation, { message: 'And 7 * 8?' }],
    ['GET', '/api/v1/turns/{id}', 200, turn],
    ['POST', '/api/v1/turns/{id}/cancel', 409, turn],
    ['GET', '/api/v1/turns/{id}', 404, 'turn_unknown'],
    ['GET', '/api/v1/actions', 200],
    ['POST', '/api/v1/actions/{name}/runs', 202, 'careful', asked],
    ['GET', '/api/v1/runs', 200],
    ['GET', '/api/v1/runs/{id}', 200, run?.id],
    ['POST', '/api/v1/runs/{id}/cancel', 409, run?.id],
    ['POST', '/api/v1/runs/{id}/approve', 200, waiting.id, { hash: waiting.argumentsHash }],
    ['POST', '/api/v1/runs/replay', 200, '', { limit: 1 }],
    ['GET', '/api/v1/models', 200],
    ['POST', '/api/v1/models/{id}/circuit', 200, 'primary', { state: 'auto' }],
    ['GET', '/api/v1/config/versions', 200],
    ['GET', '/api/v1/config/versions/{version}', 200, 'v1'],
    ['PUT', '/api/v1/config/versions/{version}', 422, 'v2', { description: 7 }],
    ['GET', '/api/v1/config/rollout', 200],
    ['GET', '/api/v1/config/rollout/history', 200],
    ['POST', '/api/v1/config/rollout/pause', 428],
  ]
  for (const [method, path, status, id = '', given] of calls) {
    const answer = await client.call(method, path.replace(/{(id|name|version)}/, id), given)
    assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(answer.body)}`)
    const validate = documented(method, path, status)
    assert.ok(validate(answer.body), `${method} ${path}: ${JSON.stringify([validate.errors, answer.body])}`)
  }
})
