import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#platform/clock.ts'
import { startUpstream } from '../../../test/support/upstream.ts'
import type { ModelSpec } from '../schema.ts'
import { type ByteHandler, ProbeFailure } from './provider.ts'
import { createProviders, type Providers } from './providers.ts'

const price = { input: 0, output: 0 }
const common = { contextWindow: 1000, continuation: 'restart', price } as const
const specs: ModelSpec[] = [
  { ...common, provider: 'openai-compatible', model: 'm' },
  { ...common, provider: 'openai', model: 'm' },
  { ...common, provider: 'azure-openai', deployment: 'd' },
]

async function callAll(providers: Providers): Promise<void> {
  for (const spec of specs) {
    const { promise, resolve } = Promise.withResolvers<void>()
    const handler: ByteHandler = {
      started: () => {},
      data: () => {},
      end: resolve,
      refused: () => resolve(),
      failed: () => assert.fail('it failed'),
    }
    providers.providerFor(spec).open({ spec, body: { messages: [], stream: true } }, handler)
    await promise
  }
}

test('the key of now is sent, and one that is not taken is told, whether a call or a probe found out', async () => {
  const upstream = await startUpstream()
  const keys = { openai: 'sk-1', azure: 'az-1' }
  const openai = {
    baseUrl: upstream.baseUrl,
    get apiKey() {
      return keys.openai
    },
  }
  const azureOpenai = {
    endpoint: `http://${upstream.host}/`,
    get apiKey() {
      return keys.azure
    },
  }
  let refused = 0
  const providers = createProviders({
    env: { openai, azureOpenai, egressHosts: [] },
    tokens: { token: () => assert.fail('a token') },
    clock: systemClock,
    onUnauthorized: () => refused++,
  })
  const sent = () => upstream.requests.splice(0).map(({ headers }) => headers.authorization ?? headers['api-key'])

  await callAll(providers)
  assert.deepEqual(sent(), ['Bearer sk-1', 'Bearer sk-1', 'az-1'])
  assert.equal(refused, 0)
  upstream.plan = () => ({ status: 401 })
  await callAll(providers)
  assert.equal(refused, 3)
  for (const spec of specs) {
    await assert.rejects(providers.providerFor(spec).probe(spec, new AbortController().signal), ProbeFailure)
  }
  assert.equal(refused, 6)
  sent()
  upstream.plan = []
  Object.assign(keys, { openai: 'sk-2', azure: 'az-2' })
  await callAll(providers)
  assert.deepEqual(sent(), ['Bearer sk-2', 'Bearer sk-2', 'az-2'])
  await Promise.all([providers.close(), upstream.close()])
})
