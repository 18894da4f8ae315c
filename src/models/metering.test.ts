import assert from 'node:assert/strict'
import { test } from 'node:test'
import { candidate } from '../../test/support/scripted-provider.ts'
import { type Consumption, meter } from './metering.ts'

const counter = {
  countTokens: async (text: string) => text.length,
  countMessages: async (messages: readonly unknown[]) => messages.length * 100,
}

function consumption(more: Partial<Consumption>): Consumption {
  return {
    candidate: candidate('m', { price: { input: 2, cachedInput: 0.5, output: 8 } }),
    outcome: 'completed',
    reason: undefined,
    usage: undefined,
    accepted: true,
    messages: [{ role: 'user' }],
    tools: undefined,
    output: () => '12345',
    firstTokenMs: 12.04999999,
    durationMs: 33.96000002,
    ...more,
  }
}

test("takes the provider's count, cached tokens at their own price", async () => {
  const segment = await meter(consumption({ usage: { prompt: 1000, cached: 400, completion: 50 } }), counter)
  assert.deepEqual(segment, {
    model: 'm',
    provider: 'openai',
    inputTokens: 1000,
    cachedTokens: 400,
    outputTokens: 50,
    costUsd: (600 * 2 + 400 * 0.5 + 50 * 8) / 1_000_000,
    estimated: false,
    outcome: 'completed',
    firstTokenMs: 12,
    durationMs: 34,
  })
})

test('without a price for cached tokens they cost what others do; a count that contradicts itself costs nothing twice', async () => {
  const plain = candidate('m', { price: { input: 2, output: 8 } })
  const usage = { prompt: 10, cached: 20, completion: 0 }
  const segment = await meter(consumption({ candidate: plain, usage }), counter)
  assert.equal(segment.costUsd, (20 * 2) / 1_000_000)
})

test('counts where the provider gave no count, its tools included, and says so', async () => {
  const tools = [{ type: 'function' }]
  const segment = await meter(consumption({ tools, outcome: 'cancelled' }), counter)
  assert.equal(segment.inputTokens, 100 + JSON.stringify(tools).length)
  assert.equal(segment.outputTokens, 5)
  assert.equal(segment.estimated, true)
  assert.equal(segment.outcome, 'cancelled')
})

test('a call that was never taken on costs nothing', async () => {
  const failed = { accepted: false, outcome: 'failed', reason: 'server_error', firstTokenMs: undefined } as const
  const segment = await meter(consumption(failed), counter)
  assert.deepEqual([segment.inputTokens, segment.outputTokens, segment.costUsd, segment.estimated], [0, 0, 0, false])
  assert.equal(segment.reason, 'server_error')
  assert.equal('firstTokenMs' in segment, false)
})

test('a tokenizer that fails loses no segment', async () => {
  const failing = { countTokens: () => Promise.reject(new Error('broken')), countMessages: async () => 1 }
  const segment = await meter(consumption({}), failing)
  assert.equal(segment.outputTokens, 2)
  assert.ok(segment.inputTokens > 0)
  assert.equal(segment.estimated, true)
})
