import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Receipt } from '#chat/turn-events.ts'
import type { Segment } from '#models/answer.ts'
import { freePort } from '../support/free-port.ts'
import { checkOneText, impatient, only, startRoute } from '../support/model-route.ts'
import { textOf } from '../support/native-client.ts'
import type { Plan } from '../support/upstream.ts'

const pieces = ['Grüße, ', '世界! ', 'It goes ', 'on 🙂', ' and on.']
const answer = pieces.join('')

interface Fault {
  plan: Plan
  reason: Segment['reason']
  silent?: true
  /** The provider took the prompt on before it failed, so it is paid for. */
  paid?: boolean
}

const beforeText: Record<string, Fault> = {
  '401': { plan: { status: 401 }, reason: 'misconfigured' },
  '404': { plan: { status: 404 }, reason: 'misconfigured' },
  '429': { plan: { status: 429 }, reason: 'rate_limited' },
  '429 with retry-after': { plan: { status: 429, retryAfter: '2' }, reason: 'rate_limited' },
  '429 with a retry-after of ages': { plan: { status: 429, retryAfter: '99999999999999' }, reason: 'rate_limited' },
  '429 with a retry-after that is none': { plan: { status: 429, retryAfter: '-soon' }, reason: 'rate_limited' },
  '500': { plan: { status: 500 }, reason: 'server_error' },
  '503 with a page instead of JSON': { plan: { status: 503, errorBody: '<h1>busy</h1>' }, reason: 'server_error' },
  'no headers': { plan: { hang: true }, reason: 'connect_timeout', silent: true },
  'headers and nothing more': {
    plan: { fault: 'stall', at: 0 },
    reason: 'first_token_timeout',
    paid: true,
    silent: true,
  },
  'keep-alives only': {
    plan: { fault: 'keep-alives', at: 0 },
    reason: 'first_token_timeout',
    paid: true,
    silent: true,
  },
  garbage: { plan: { fault: 'garbage', at: 0 }, reason: 'garbage', paid: true },
  'half a chunk': { plan: { fault: 'half-chunk', at: 0 }, reason: 'no_finish', paid: true },
  'an end without a finish reason': { plan: { fault: 'no-finish', at: 0 }, reason: 'no_finish', paid: true },
  'an error in place of a chunk': { plan: { fault: 'error', at: 0 }, reason: 'server_error', paid: true },
  'a connection that is cut': { plan: { fault: 'cut', at: 0 }, reason: 'cut_off', paid: true },
  'a connection that is reset': { plan: { fault: 'reset', at: 0 }, reason: 'cut_off', paid: true },
}

for (const [name, { plan, reason, silent, paid = false }] of Object.entries(beforeText)) {
  test(`before the first text the next model answers, and nobody notices: ${name}`, async () => {
    await using route = await startRoute(
      { first: { plans: [plan] }, second: { plans: [{ pieces }] } },
      { ...(silent && { timers: impatient }) },
    )
    const asked = await route.ask()
    assert.equal(await checkOneText(route, asked), answer)
    const { type, data } = asked.events.at(-1) ?? {}
    assert.equal(type, 'turn.completed')
    assert.ok(asked.events.every((event) => event.type !== 'segment' && event.type !== 'notice'))

    const { segments, costUsd } = (data as { receipt: Receipt }).receipt
    const [failed, completed] = segments
    assert.deepEqual(
      [failed?.model, failed?.outcome, failed?.reason, failed?.estimated, (failed?.inputTokens ?? 0) > 0],
      ['first', 'failed', reason, paid, paid],
    )
    assert.equal(failed?.outputTokens, 0)
    assert.deepEqual(
      [completed?.model, completed?.outcome, completed?.estimated, completed?.inputTokens, completed?.outputTokens],
      ['second', 'completed', false, 16, pieces.length],
    )
    assert.equal(segments.length, 2)
    assert.ok(Math.abs(costUsd - segments.reduce((sum, one) => sum + one.costUsd, 0)) < 1e-12)
  })
}

test('a model that cannot be reached at all is passed over', async () => {
  const nobody = `http://127.0.0.1:${await freePort()}/v1`
  await using route = await startRoute({ first: { spec: { baseUrl: nobody } }, second: { plans: [{ pieces }] } })
  const asked = await route.ask()
  assert.equal(await checkOneText(route, asked), answer)
  const { receipt } = only<{ receipt: Receipt }>(asked.events, 'turn.completed')
  assert.deepEqual([receipt.segments[0]?.reason, receipt.segments[0]?.costUsd], ['connect_failed', 0])
})

const amidText: Record<string, Fault> = {
  'a stall': { plan: { fault: 'stall' }, reason: 'stalled', silent: true },
  'keep-alives only': { plan: { fault: 'keep-alives' }, reason: 'stalled', silent: true },
  'a reset within a character': { plan: { fault: 'reset' }, reason: 'cut_off' },
  'a cut within a character': { plan: { fault: 'cut' }, reason: 'cut_off' },
  'half a chunk': { plan: { fault: 'half-chunk' }, reason: 'no_finish' },
  garbage: { plan: { fault: 'garbage' }, reason: 'garbage' },
  'an error in place of a chunk': { plan: { fault: 'error' }, reason: 'server_error' },
  'an end without a finish reason': { plan: { fault: 'no-finish' }, reason: 'no_finish' },
}

for (const [name, { plan, reason, silent }] of Object.entries(amidText)) {
  test(`after visible text the seam says who goes on and why: ${name}`, async () => {
    await using route = await startRoute(
      {
        first: { plans: [{ pieces, at: 3, ...plan }], spec: { price: { input: 100, output: 1000 } } },
        second: { plans: [{ pieces: ['Once ', 'more.'] }] },
      },
      { ...(silent && { timers: impatient }) },
    )
    const asked = await route.ask()
    assert.deepEqual(only(asked.events, 'segment'), { model: 'second', reason, reset: true })
    const seam = asked.events.findIndex(({ type }) => type === 'segment')
    assert.equal(textOf(asked.events.slice(0, seam)), pieces.slice(0, 3).join(''))
    assert.equal(await checkOneText(route, asked), 'Once more.')

    const { receipt } = only<{ receipt: Receipt }>(asked.events, 'turn.completed')
    const [failed, completed] = receipt.segments
    assert.deepEqual([failed?.reason, failed?.estimated], [reason, true])
    assert.ok(failed && failed.inputTokens > 0 && failed.outputTokens > 0)
    const dear = (failed.inputTokens * 100 + failed.outputTokens * 1000) / 1e6
    assert.ok(Math.abs(failed.costUsd - dear) < 1e-12)
    assert.deepEqual([completed?.estimated, completed?.inputTokens, completed?.outputTokens], [false, 16, 2])
    assert.ok(Math.abs(receipt.costUsd - dear - (16 * 2 + 2 * 8) / 1e6) < 1e-12)
    assert.equal(receipt.outputTokens, failed.outputTokens + 2)
  })
}

test('an instructed model goes on where the text broke off, and what it repeats is not shown twice', async () => {
  const first = ['The quick ', 'brown fox ', 'jumps over ']
  await using route = await startRoute({
    first: { plans: [{ pieces: first, fault: 'cut' }] },
    second: {
      plans: [{ pieces: ['brown fox ', 'jumps over ', 'the lazy ', 'dog.'] }],
      spec: { continuation: 'instructed' },
    },
  })
  const asked = await route.ask()
  assert.equal(await checkOneText(route, asked), 'The quick brown fox jumps over the lazy dog.')
  assert.deepEqual(only(asked.events, 'segment'), { model: 'second', reason: 'cut_off' })
  const messages = route.upstreams.second?.requests[0]?.body.messages as { role: string; content: string }[]
  assert.deepEqual(
    messages.map(({ role }) => role),
    ['system', 'user', 'assistant', 'user'],
  )
  assert.equal(messages[2]?.content, 'The quick brown fox jumps over')
})

test('an instructed model that starts afresh resets what was shown', async () => {
  await using route = await startRoute({
    first: { plans: [{ pieces: ['The quick brown fox ', 'jumps over '], fault: 'error' }] },
    second: { plans: [{ pieces: ['The quick brown ', 'dog ', 'barks.'] }], spec: { continuation: 'instructed' } },
  })
  const asked = await route.ask()
  assert.equal(await checkOneText(route, asked), 'The quick brown dog barks.')
  assert.deepEqual(only(asked.events, 'segment'), { model: 'second', reason: 'server_error', reset: true })
})

test('a prefill model is given the text as its own, and continues it', async () => {
  await using route = await startRoute({
    first: { plans: [{ pieces, at: 4, fault: 'reset' }] },
    second: { plans: [{ pieces: pieces.slice(4) }], spec: { continuation: 'prefill' } },
  })
  const asked = await route.ask()
  assert.equal(await checkOneText(route, asked), answer)
  assert.deepEqual(only(asked.events, 'segment'), { model: 'second', reason: 'cut_off' })
  const messages = route.upstreams.second?.requests[0]?.body.messages as { role: string; content: string }[]
  assert.deepEqual(messages.at(-1), { role: 'assistant', content: pieces.slice(0, 4).join('') })
})

test('a third model goes on where the second one breaks off, each seam typed, each segment billed', async () => {
  await using route = await startRoute({
    first: { plans: [{ pieces, at: 1, fault: 'garbage' }] },
    second: { plans: [{ pieces: pieces.slice(1), at: 1, fault: 'no-finish' }], spec: { continuation: 'prefill' } },
    third: { plans: [{ pieces: pieces.slice(2) }], spec: { continuation: 'prefill' } },
  })
  const asked = await route.ask()
  assert.equal(await checkOneText(route, asked), answer)
  assert.deepEqual(
    asked.events.filter(({ type }) => type === 'segment').map(({ data }) => data),
    [
      { model: 'second', reason: 'garbage' },
      { model: 'third', reason: 'no_finish' },
    ],
  )
  const { receipt } = only<{ receipt: Receipt }>(asked.events, 'turn.completed')
  assert.deepEqual(
    receipt.segments.map(({ model, outcome }) => [model, outcome]),
    [
      ['first', 'failed'],
      ['second', 'failed'],
      ['third', 'completed'],
    ],
  )
  const usages = asked.events.filter(({ type }) => type === 'usage')
  assert.equal(usages.length, 3)
})

test('a provider that sends every byte alone, with CRLF, says the same', async () => {
  await using route = await startRoute({ first: { plans: [{ pieces, frag: true, crlf: true }] } })
  assert.equal(await checkOneText(route, await route.ask()), answer)
})
