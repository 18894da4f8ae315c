import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { ParleyError } from '#errors.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { manualClock } from '../../test/support/clock.ts'
import { answerRequest, candidate, type RecordingSink, recordingSink } from '../../test/support/scripted-provider.ts'
import { type Plan, startUpstream } from '../../test/support/upstream.ts'
import type { AnswerRequest, Candidate } from './answer.ts'
import { createModels } from './create.ts'
import { createProviders } from './providers/providers.ts'
import type { ModelSpec } from './schema.ts'

const upstream = await startUpstream()
const providers = createProviders({
  env: { openai: { apiKey: 'sk-test', baseUrl: upstream.baseUrl }, azureOpenai: undefined, egressHosts: [] },
  tokens: { token: () => Promise.reject(new Error('No tokens are needed here.')) },
  clock: systemClock,
})
/** Bytes come when they come; patience ends when the test says so. */
const clock = manualClock()
const models = createModels({ providers, clock, log: createLog('silent') })
after(async () => {
  await models.close()
  await providers.close()
  await upstream.close()
})

const pieces = ['Grüße, ', '世界! ', 'It goes ', 'on 🙂', ' and on.']
const text = pieces.join('')
let names = 0

/** The plans answer the calls in order; each answer has deployments of its own. */
function ask(plans: Plan[], continuation: ModelSpec['continuation'], more: Partial<AnswerRequest> = {}) {
  upstream.plan = plans
  upstream.requests.length = 0
  const candidates: Candidate[] = plans.map(() => candidate(`m${names++}`, { continuation }))
  const sink = recordingSink()
  return { sink, candidates, answer: models.answer(answerRequest(candidates, more), sink) }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setTimeout(1)
}

const seams = (sink: RecordingSink) =>
  sink.events.filter((event) => event.startsWith('seam')).map((event) => event.replace(/ m\d+/, ''))
const outcomes = (sink: RecordingSink) => sink.segments.map(({ outcome, reason }) => reason ?? outcome)

/** What each fault of a provider is called here, when it strikes before and amid the text. */
const faults: Record<NonNullable<Plan['fault']>, [before: string, amid: string]> = {
  garbage: ['garbage', 'garbage'],
  'half-chunk': ['no_finish', 'no_finish'],
  'no-finish': ['no_finish', 'no_finish'],
  'keep-alives': ['first_token_timeout', 'stalled'],
  stall: ['first_token_timeout', 'stalled'],
  reset: ['cut_off', 'cut_off'],
  cut: ['cut_off', 'cut_off'],
  error: ['server_error', 'server_error'],
}

for (const [fault, [before, amid]] of Object.entries(faults) as [NonNullable<Plan['fault']>, [string, string]][]) {
  for (const mode of ['text', 'relay'] as const) {
    test(`${fault} before the first text is followed silently (${mode})`, async () => {
      const { sink, answer } = ask([{ pieces, fault, at: 0 }, { pieces }], 'prefill', { mode })
      await until(() => sink.events.length > 0)
      if (before === 'first_token_timeout') clock.advance(20_000)
      assert.equal((await answer).text, text)
      assert.equal(sink.shown, text)
      assert.deepEqual(seams(sink), [])
      assert.deepEqual(outcomes(sink), [before, 'completed'])
    })

    test(`${fault} amid the text is continued (${mode})`, async () => {
      const { sink, answer } = ask([{ pieces, fault, at: 3 }, { pieces: pieces.slice(3) }], 'prefill', { mode })
      await until(() => sink.shown.startsWith(pieces.slice(0, 3).join('')))
      if (amid === 'stalled') clock.advance(20_000)
      assert.equal((await answer).text, text)
      assert.equal(sink.shown, text)
      assert.deepEqual(seams(sink), [`seam ${amid}`])
      assert.deepEqual(outcomes(sink), [amid, 'completed'])
      const [failed, completed] = sink.segments
      assert.ok(failed?.estimated && failed.outputTokens > 0 && failed.costUsd > 0)
      assert.equal(completed?.estimated, false)
      assert.equal(completed?.outputTokens, 2)
    })
  }
}

test('a continuation that repeats or starts over, cut at every byte', async () => {
  for (const mode of ['text', 'relay'] as const) {
    const repeating = [{ pieces, fault: 'cut', at: 4 } as const, { pieces: ['It goes on 🙂', ' and on.'], frag: true }]
    const repeated = ask(repeating, 'instructed', { mode })
    assert.equal((await repeated.answer).text, text)
    assert.equal(repeated.sink.shown, text)
    assert.deepEqual(seams(repeated.sink), ['seam cut_off'])
    const messages = upstream.requests[1]?.body.messages as { role: string; content: string }[]
    assert.deepEqual(messages[1], { role: 'assistant', content: 'Grüße, 世界! It goes on 🙂' })

    const over = ask(
      [
        { pieces, fault: 'cut', at: 4 },
        { pieces: ['Grüße, 世界! It goes its way.'], frag: true },
      ],
      'instructed',
      { mode },
    )
    assert.equal((await over.answer).text, 'Grüße, 世界! It goes its way.')
    assert.equal(over.sink.shown, 'Grüße, 世界! It goes its way.')
    assert.deepEqual(seams(over.sink), ['seam cut_off reset'])
  }
})

test('statuses: the next model for the fault of a deployment, none for the fault of the request', async () => {
  for (const [status, reason] of [
    [500, 'server_error'],
    [401, 'misconfigured'],
    [404, 'misconfigured'],
    [429, 'rate_limited'],
  ] as const) {
    const { sink, answer } = ask([{ status, retryAfter: 'absurd' }, { pieces }], 'prefill')
    assert.equal((await answer).text, text)
    assert.deepEqual(outcomes(sink), [reason, 'completed'])
  }
  const { answer } = ask([{ status: 400 }, { pieces }], 'prefill')
  await assert.rejects(answer, (error: ParleyError) => {
    assert.deepEqual([error.code, error.message], ['provider_rejected', 'The mock answers 400.'])
    return true
  })
  assert.equal(upstream.requests.length, 1)
})

test('a provider that never answers is left for the next', async () => {
  const { sink, answer } = ask([{ hang: true }, { pieces }], 'prefill')
  await upstream.arrived(1)
  clock.advance(5000)
  assert.equal((await answer).text, text)
  assert.deepEqual(outcomes(sink), ['connect_timeout', 'completed'])
  await upstream.requests[0]?.closed
  assert.notEqual(upstream.requests[0]?.abortedAt, undefined)
})

test('interleaved tool calls, with arguments that are no JSON', async () => {
  const toolCalls = [
    { name: 'add', arguments: '{"a":1}' },
    { name: 'sub', arguments: '{"a":' },
  ]
  const { answer } = ask([{ toolCalls, interleave: true }], 'prefill')
  const { finish, toolCalls: calls } = await answer
  assert.equal(finish, 'tool_calls')
  assert.deepEqual(
    calls.map((call) => [call.name, call.arguments, call.invalid]),
    [
      ['add', '{"a":1}', undefined],
      ['sub', '{"a":', 'The arguments are not valid JSON.'],
    ],
  )
})

test('aborting closes the connection to the provider at once', async () => {
  const abort = new AbortController()
  const { sink, answer } = ask([{ tokens: 1000, pace: 200 }], 'prefill', { signal: abort.signal })
  await until(() => sink.shown !== '')
  abort.abort('stop')
  await assert.rejects(answer, (reason) => reason === 'stop')
  await upstream.requests[0]?.closed
  const { abortedAt, sent = Number.NaN } = upstream.requests[0] ?? {}
  assert.ok(abortedAt && sent < 1000)
  assert.deepEqual(outcomes(sink), ['cancelled'])
})

test('a reader that takes nothing for longer than a stall may last loses nothing', async () => {
  const { sink, answer } = ask([{ tokens: 20_000, burst: 500 }], 'prefill')
  await until(() => sink.shown !== '')
  sink.flows?.pause()
  const before = sink.shown.length
  clock.advance(60_000)
  await setTimeout(50)
  assert.ok(sink.shown.length - before < 200_000, 'what was on its way comes, no more')
  sink.flows?.resume()
  const { text: whole } = await answer
  assert.equal(sink.shown, whole)
  assert.ok(whole.includes('19999:'))
})
