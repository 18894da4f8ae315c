import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ModelSpec } from '../schema.ts'
import { outgoingBody } from './outgoing-body.ts'

const spec: ModelSpec = {
  provider: 'openai',
  model: 'gpt',
  contextWindow: 1000,
  continuation: 'restart',
  price: { input: 0, output: 0 },
}
const azure: ModelSpec = { ...spec, provider: 'azure-openai', deployment: 'gpt' }
const messages = [{ role: 'user', content: 'hello' }]
const openai = 'https://api.openai.com'

function sent(of: ModelSpec, origin: string, body: object = {}, person?: string): Record<string, unknown> {
  return JSON.parse(outgoingBody({ spec: of, body: { messages, ...body }, person }, { origin, model: 'gpt' }))
}

test('OpenAI and Azure OpenAI are told to keep nothing; who only speaks like them is not told what it may not know', () => {
  assert.deepEqual(sent(spec, openai), { messages, store: false, model: 'gpt' })
  assert.equal(sent(spec, 'https://eu.api.openai.com').store, false)
  assert.equal(sent(azure, 'https://x.openai.azure.com').store, false)
  for (const other of ['https://openai.com.example', 'https://notopenai.com', 'http://api.openai.com']) {
    assert.ok(!('store' in sent(spec, other)), other)
  }
})

test('what a caller says of who asks, and would have kept, does not get out', () => {
  const said = { user: 'ana@example.com', safety_identifier: 'ana', prompt_cache_key: 'ana', metadata: { who: 'ana' } }
  assert.deepEqual(sent(spec, openai, { ...said, store: true, temperature: 0 }), {
    ...{ messages, store: false, model: 'gpt', temperature: 0 },
  })
  assert.deepEqual(sent({ ...spec, provider: 'openai-compatible' }, 'https://llm.example', { ...said, store: true }), {
    ...{ messages, model: 'gpt' },
  })
})

test('a pseudonym goes to a provider for which the version asks for it, and nothing to any other', () => {
  const told = (of: ModelSpec) => {
    const { user, safety_identifier } = sent(of, openai, {}, 'p5eudonym')
    return [user, safety_identifier]
  }
  assert.deepEqual(told({ ...spec, endUser: 'pseudonym' }), [undefined, 'p5eudonym'])
  assert.deepEqual(told({ ...azure, endUser: 'pseudonym' }), ['p5eudonym', undefined])
  assert.deepEqual(told(spec), [undefined, undefined])
  assert.deepEqual(sent({ ...spec, endUser: 'pseudonym' }, openai).safety_identifier, undefined)
})

test('what the version adds goes before', () => {
  const own = { store: true, metadata: { app: 'parley' }, user: 'parley' }
  const { store, metadata, user } = sent({ ...spec, extraBody: own }, openai, { metadata: { who: 'ana' } })
  assert.deepEqual({ store, metadata, user }, own)
})
