import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ModelSpec } from '#models/schema.ts'
import { chatConfig } from '../../../test/support/chat-config.ts'
import { tokenCounter } from '../token-counter.ts'
import type { TurnInput } from '../turn-input.ts'
import { type Copy, copyOf } from './copy.ts'

const price = { input: 10, output: 100 }
const model: ModelSpec = { provider: 'openai', model: 'm', contextWindow: 32_000, continuation: 'restart', price }
const tool = { type: 'function' as const, function: { name: 'calculate', description: 'Calculates.', parameters: {} } }
const prompt = [
  { role: 'system' as const, content: 'As it was served.' },
  { role: 'user' as const, content: 'Hello' },
]

function inputOf(more: Partial<TurnInput> = {}): TurnInput {
  return {
    ...{ turn: 'turn_1', conversation: null, specialist: 'plain', config: 'v1', arm: 'stable', cohort: '' },
    principal: { tenant: 'home', id: 'ada', name: 'Ada', kind: 'user', roles: [], scopes: [] },
    ...{ message: 'Hello', alone: null, followUp: null, readOnly: false, startedAt: 0 },
    ...more,
  }
}

function made(spec: Partial<ModelSpec> = {}, input: Partial<TurnInput> = {}, tools: (typeof tool)[] = []) {
  const config = { name: 'v2', hash: 'h', document: chatConfig({ first: { ...model, ...spec }, second: model }) }
  return copyOf({ input: inputOf(input), prompt }, config, { actions: { tools: () => tools }, counter: tokenCounter })
}

async function copied(...given: Parameters<typeof made>): Promise<Copy> {
  const copy = await made(...given)
  return typeof copy === 'string' ? assert.fail(copy) : copy
}

test('the first model of the route is asked what the version would ask it', async () => {
  const { candidate, messages, parameters } = await copied({}, {}, [tool])
  assert.equal(candidate.name, 'first')
  assert.deepEqual(messages, [{ role: 'system', content: 'Answer.' }, prompt[1]])
  assert.deepEqual(parameters, { tools: [tool], max_completion_tokens: 4096 })
})

test('every answer has a limit of tokens: what the window keeps free, or less', async () => {
  const limitOf = async (...given: Parameters<typeof made>) => (await copied(...given)).parameters
  const asking = (parameters: Record<string, unknown>) => ({ alone: { history: [], parameters } })
  assert.deepEqual(await limitOf({ maxOutput: 100 }), { max_completion_tokens: 100 })
  assert.deepEqual(await limitOf({ provider: 'openai-compatible' }), { max_tokens: 4096 })
  assert.deepEqual(await limitOf({}, asking({ max_tokens: 10, temperature: 0 })), { max_tokens: 10, temperature: 0 })
  assert.deepEqual(await limitOf({}, asking({ max_tokens: 9999 })), { max_tokens: 4096 })
  assert.deepEqual(
    await limitOf({ extraBody: { max_tokens: 7 } }),
    {},
    'of one that the version sets there is no second',
  )
})

test('what it may cost at most is known before it is asked', async () => {
  const { mostUsd, messages } = await copied({ maxOutput: 1000 })
  const bytes = Buffer.byteLength(JSON.stringify(messages))
  assert.equal(mostUsd, (bytes * 10 + 1000 * 100) / 1e6)
  const { mostUsd: small } = await copied({ extraBody: { max_tokens: 7 } })
  assert.equal(small, (bytes * 10 + 7 * 100) / 1e6)
})

test('what a version does not have, or cannot hold, is not copied', async () => {
  assert.equal(await made({}, { specialist: 'toString' }), 'specialist-missing')
  assert.equal(await made({ contextWindow: 256, maxOutput: 250 }), 'too-long')
})
