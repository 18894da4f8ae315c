import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ModelSpec } from '#models/schema.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { ask, contentOf, readStream } from '../support/completions.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

/** What a route, or a specialist without actions, does on `/v1`. */

let first: Upstream
let second: Upstream
let app: TestApp

/** Each continuation has a route of its own: `primary` first, then a model that takes over in that way. */
const continuations = ['prefill', 'instructed', 'restart'] as const

before(async () => {
  first = await startUpstream()
  second = await startUpstream()
  const models: Record<string, ModelSpec> = { primary: upstreamModel('primary', first.baseUrl) }
  for (const continuation of continuations)
    models[continuation] = upstreamModel('second', second.baseUrl, { continuation })
  const config = chatConfig(models)
  app = await startApp({
    config: {
      ...config,
      routes: {
        alone: { models: ['primary'] },
        default: { models: ['primary', 'prefill'] },
        ...Object.fromEntries(
          continuations.map((name) => [
            name,
            { models: ['primary', name], firstTokenTimeoutMs: 2000, stallTimeoutMs: 2000 },
          ]),
        ),
      },
    },
    variables: { PARLEY_EGRESS_HOSTS: `${first.host},${second.host}` },
  })
  // So many failures would keep calls away from it.
  const held = await fetch(`${app.url}/api/v1/models/primary/circuit`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"state":"closed"}',
  })
  assert.equal(held.status, 200)
})

after(async () => {
  await app.stop()
  await first.close()
  await second.close()
})

async function stream(body: object) {
  const response = await ask(app.url, { stream: true, stream_options: { include_usage: true }, ...body })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, ...readStream(text) }
}

function failoversOf(chunks: ReturnType<typeof readStream>['chunks']) {
  return (chunks.at(-1)?.parley?.failovers ?? []) as { model: string; reason: string }[]
}

test('nothing of it is kept: no turn, no conversation', async () => {
  const { headers } = await stream({ model: 'alone' })
  assert.equal(headers.get('x-parley-turn'), null)
  assert.equal(headers.get('x-parley-config'), 'v1')
  const kept = await fetch(`${app.url}/api/v1/conversations`)
  assert.deepEqual(((await kept.json()) as { items: unknown[] }).items, [])
})

test('a specialist’s instructions go before what the caller says', async () => {
  const messages = [
    { role: 'system', content: 'The caller’s own.' },
    { role: 'user', content: 'Hello?' },
  ]
  await stream({ model: 'plain', messages })
  assert.deepEqual(first.requests.at(-1)?.body.messages, [{ role: 'system', content: 'Answer.' }, ...messages])
  await stream({ model: 'alone', messages })
  assert.deepEqual(first.requests.at(-1)?.body.messages, messages)
})

test('a model that fails before its first word is replaced without a trace, but for the bill', async () => {
  for (const plan of [
    { status: 500 },
    { status: 401 },
    { fault: 'cut' as const, at: 0 },
    { fault: 'keep-alives' as const, at: 0 },
  ]) {
    first.plan = [plan]
    second.plan = [{ pieces: ['here ', 'I am'] }]
    const { status, headers, chunks, done } = await stream({ model: 'prefill' })
    assert.equal(status, 200)
    assert.ok(done)
    assert.equal(headers.get('x-parley-model'), 'prefill')
    assert.equal(contentOf(chunks), 'here I am')
    assert.equal(chunks.filter((chunk) => chunk.choices[0]?.delta.role).length, 1)
    assert.deepEqual(
      failoversOf(chunks).map(({ model }) => model),
      ['primary'],
    )
  }
})

test('a model that fails after its first words is continued: no word twice, none missing', async () => {
  const said = madeUpPieces(12)
  for (const [model, continued] of [
    ['prefill', said.slice(6)],
    ['instructed', [said.slice(0, 6).join('').slice(-30), ...said.slice(6)]],
  ] as const) {
    for (const fault of ['cut', 'reset', 'stall', 'error', 'garbage', 'no-finish'] as const) {
      first.plan = [{ pieces: said, fault, at: 6 }]
      second.plan = [{ pieces: continued }]
      const { headers, chunks, done } = await stream({ model })
      assert.equal(contentOf(chunks), said.join(''), `${model} ${fault}`)
      assert.ok(done)
      assert.equal(headers.get('x-parley-model'), 'primary')
      assert.equal(failoversOf(chunks).length, 1)
    }
  }
})

test('a model that would start over ends the stream with an error; an answer that comes whole just starts over', async () => {
  first.plan = [{ tokens: 5, fault: 'cut', at: 3 }]
  const streamed = await stream({ model: 'restart' })
  assert.equal(contentOf(streamed.chunks.slice(0, -1)), madeUpPieces(3).join(''))
  assert.equal(streamed.chunks.at(-1)?.error?.code, 'model_interrupted')
  assert.equal(streamed.done, false)

  first.plan = [{ tokens: 5, fault: 'cut', at: 3 }]
  second.plan = [{ pieces: ['anew'] }]
  const whole = await ask(app.url, { model: 'restart' })
  assert.equal(whole.headers.get('x-parley-model'), 'restart')
  const { choices } = (await whole.json()) as { choices: { message: { content: string } }[] }
  assert.equal(choices[0]?.message.content, 'anew')
})

test('half of a tool call, or of a format, is never continued by another model', async () => {
  const half = [
    { toolCalls: [{ name: 'f', arguments: '{"long":"argument"}' }], fault: 'cut' as const, at: 2 },
    { pieces: ['{"half":'], fault: 'cut' as const },
  ]
  for (const [index, plan] of half.entries()) {
    first.plan = [plan]
    const before = second.requests.length
    const { chunks, done } = await stream({
      model: 'prefill',
      ...(index === 1 && { response_format: { type: 'json_object' } }),
    })
    assert.equal(chunks.at(-1)?.error?.code, 'model_interrupted')
    assert.equal(done, false)
    assert.equal(second.requests.length, before)
  }
})

test('what a provider refuses is the caller’s to correct, and no other model is asked', async () => {
  const errorBody = JSON.stringify({
    error: { message: 'Tools must have names.', type: 'invalid_request_error', code: null },
  })
  first.plan = [{ status: 400, errorBody }]
  const before = second.requests.length
  const response = await ask(app.url, { model: 'prefill' })
  assert.equal(response.status, 400)
  const { error } = (await response.json()) as { error: { code: string } }
  assert.equal(error.code, 'provider_rejected')
  assert.equal(second.requests.length, before)
})

test('a caller that leaves stops the provider at once, before the first word and after', async () => {
  for (const plan of [{ firstDelayMs: 60_000 }, { tokens: 1000, pace: 100 }]) {
    first.plan = [plan]
    const count = first.requests.length + 1
    const leave = new AbortController()
    const asked = ask(app.url, { model: 'alone', stream: true }, { signal: leave.signal })
    const seen = await first.arrived(count)
    if (!plan.firstDelayMs) for await (const _bytes of (await asked).body ?? []) break
    leave.abort()
    await asked.catch(() => {})
    await seen.closed
    assert.ok(seen.abortedAt !== undefined && seen.sent < 1000)
  }
})

test('what travels neither way is left where it belongs', async () => {
  const response = await ask(
    app.url,
    { model: 'alone' },
    {
      headers: {
        authorization: 'Bearer of the caller',
        'api-key': 'secret',
        cookie: 'a=b',
        'openai-organization': 'org',
      },
    },
  )
  assert.equal(response.status, 200)
  const { headers } = first.requests.at(-1) ?? {}
  for (const name of ['authorization', 'api-key', 'cookie', 'openai-organization']) {
    assert.ok(!JSON.stringify(headers?.[name] ?? '').includes('caller') && headers?.[name] !== 'secret')
  }
})
