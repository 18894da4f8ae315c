import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import type { Spending } from '#governance/budgets.ts'
import type { Stop } from '#governance/stops.ts'
import type { Answer, AnswerRequest, Candidate, Segment } from '#models/answer.ts'
import type { Models } from '#models/models.ts'
import { somebody } from '../../test/support/chat-at-hand.ts'
import { answerPaid } from './paying.ts'

const price = { input: 1_000_000, output: 2_000_000 }
const candidate = (name: string, more = {}): Candidate => ({
  name,
  spec: { provider: 'offline', contextWindow: 1000, maxOutput: 100, continuation: 'restart', price, ...more },
})
const answer = { finish: 'stop', text: '', toolCalls: [], model: 'one' } as unknown as Answer
const counter = { bound: () => 0, count: async (messages: readonly unknown[]) => 10 * messages.length }

/** What is done to the till, in order. */
function till(refuseAt = Number.POSITIVE_INFINITY) {
  const did: string[] = []
  const spending: Spending = {
    async reserve(usd) {
      if (usd >= refuseAt) throw new ParleyError('budget_exceeded')
      did.push(`reserve ${usd}`)
    },
    settle: (usd) => void did.push(`settle ${usd}`),
    charge: (usd) => void did.push(`charge ${usd}`),
    close: () => void did.push('close'),
  }
  return { did, budgets: { spending: () => spending } }
}

/** Models of which each is asked in turn, and all but the last fail. */
function modelsThatFail(): Pick<Models, 'answer'> {
  return {
    async answer({ candidates, messages, parameters, before }, sink) {
      for (const one of candidates) {
        await before?.(one, messages(one), parameters)
        const outcome = one === candidates.at(-1) ? 'completed' : 'failed'
        sink.ended({ model: one.name, costUsd: 7, outcome } as unknown as Segment)
      }
      return answer
    },
  }
}

function ask(candidates: readonly Candidate[], parameters: Record<string, unknown> = {}): AnswerRequest {
  const { signal } = new AbortController()
  const messages = () => [{ role: 'user' as const, content: 'hello' }]
  return { candidates, timers: {}, parameters, messages, mode: 'text', signal }
}

const served = { config: 'v1', arm: 'stable', cohort: '', unit: 'conv_1' } as const
const payer = { principal: somebody, served }
const sink = { seam: () => {}, ended: () => {} }
const roomOf = (models: Pick<Models, 'answer'>) => ({ models: models as Models, counter })

test('each call reserves the most it may cost, and its end settles what it did, those that failed too', async () => {
  const { did, budgets } = till()
  await answerPaid({ ...roomOf(modelsThatFail()), budgets }, payer, ask([candidate('a'), candidate('b')]), sink)
  assert.deepEqual(did, ['reserve 210', 'settle 7', 'reserve 210', 'settle 7', 'close'])
})

test('the most is what was asked for, or what the model gives, within its window; for each choice, and with the tools', async () => {
  const most = async (parameters: Record<string, unknown>, more = {}) => {
    const { did, budgets } = till()
    await answerPaid({ ...roomOf(modelsThatFail()), budgets }, payer, ask([candidate('a', more)], parameters), sink)
    return did[0]
  }
  assert.equal(await most({ max_tokens: 5 }), 'reserve 20')
  assert.equal(await most({ max_completion_tokens: 7, max_tokens: 5 }), 'reserve 24')
  assert.equal(await most({ max_tokens: 5000 }), `reserve ${10 + 2 * 990}`)
  assert.equal(await most({ max_tokens: 5, n: 3 }), 'reserve 40')
  assert.equal(await most({ max_tokens: 5, tools: [] }), 'reserve 30')
  assert.equal(await most({}, { maxOutput: undefined }), `reserve ${10 + 2 * 250}`)
})

test('a call that does not fit into what is left is not made', async () => {
  const { did, budgets } = till(210)
  const asked = answerPaid({ ...roomOf(modelsThatFail()), budgets }, payer, ask([candidate('a')]), sink)
  await assert.rejects(asked, { code: 'budget_exceeded' })
  assert.deepEqual(did, ['close'])
})

test('models that are stopped are vetoed, and whoever asks one hears of it', async () => {
  let hears = () => {}
  const stops = {
    found: ({ model = '' }) => (model === 'a' ? ({ scope: 'model:a' } as unknown as Stop) : undefined),
    onChange: (listener: () => void) => {
      hears = listener
      return () => {}
    },
  }
  const listener = () => {}
  const models: Pick<Models, 'answer'> = {
    async answer({ vetoes }) {
      assert.ok(vetoes)
      assert.deepEqual(vetoes.of('a'), new ParleyError('killed'))
      assert.equal(vetoes.of('b'), undefined)
      vetoes.onChange(listener)
      return answer
    },
  }
  assert.equal(await answerPaid({ ...roomOf(models), stops }, payer, ask([candidate('a')]), sink), answer)
  assert.equal(hears, listener)
})
