import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { ask, startSurface } from '../../../test/support/completions.ts'
import { RelayingChat } from '../../../test/support/scripted-relay.ts'

interface Refusal {
  error: { code: string; param: string | null; message: string }
}

const user = { role: 'user', content: 'Hello?' }
const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }
const tool = (name: unknown) => ({ type: 'function', function: { name } })

/** Each body, and the parameter that is at fault with it. */
const invalid: [object, string | null][] = [
  [{ model: undefined }, 'model'],
  [{ model: '' }, 'model'],
  [{ model: 5 }, 'model'],
  [{ messages: undefined }, 'messages'],
  [{ messages: [] }, 'messages'],
  [{ messages: 'Hello?' }, 'messages'],
  [{ messages: Array.from({ length: 2049 }, () => user) }, 'messages'],
  [{ messages: ['Hello?'] }, 'messages.0'],
  [{ messages: [user, {}] }, 'messages.1.role'],
  [{ messages: [{ role: 'function', name: 'f', content: '' }] }, 'messages.0.role'],
  [{ messages: [{ role: 'user' }] }, 'messages.0.content'],
  [{ messages: [{ role: 'system', content: null }] }, 'messages.0.content'],
  [{ messages: [{ role: 'user', content: 5 }] }, 'messages.0.content'],
  [{ messages: [{ role: 'user', content: { type: 'text', text: '' } }] }, 'messages.0.content'],
  [{ messages: [{ role: 'user', content: [{ text: '' }] }] }, 'messages.0.content.0.type'],
  [{ messages: [{ role: 'user', content: ['Hello?'] }] }, 'messages.0.content.0'],
  [{ messages: [{ role: 'tool', content: '' }] }, 'messages.0.tool_call_id'],
  [{ messages: [{ role: 'tool', content: '', tool_call_id: '' }] }, 'messages.0.tool_call_id'],
  [{ messages: [{ role: 'tool', tool_call_id: 'c1' }] }, 'messages.0.content'],
  [{ messages: [{ role: 'assistant', tool_calls: [{ ...call, id: undefined }] }] }, 'messages.0.tool_calls.0.id'],
  [{ messages: [{ role: 'assistant', tool_calls: 'f' }] }, 'messages.0.tool_calls'],
  [{ messages: [{ ...user, name: 5 }] }, 'messages.0.name'],
  [{ stream: 'yes' }, 'stream'],
  [{ stream_options: 5 }, 'stream_options'],
  [{ stream_options: { include_usage: 'yes' } }, 'stream_options.include_usage'],
  [{ n: 0 }, 'n'],
  [{ n: 1.5 }, 'n'],
  [{ n: '1' }, 'n'],
  [{ temperature: 'hot' }, 'temperature'],
  [{ temperature: [1] }, 'temperature'],
  [{ top_p: {} }, 'top_p'],
  [{ max_tokens: 'many' }, 'max_tokens'],
  [{ max_tokens: 1.5 }, 'max_tokens'],
  [{ max_completion_tokens: true }, 'max_completion_tokens'],
  [{ frequency_penalty: '0' }, 'frequency_penalty'],
  [{ presence_penalty: '0' }, 'presence_penalty'],
  [{ seed: 0.5 }, 'seed'],
  [{ logprobs: 1 }, 'logprobs'],
  [{ top_logprobs: true }, 'top_logprobs'],
  [{ logit_bias: { 50256: 'low' } }, 'logit_bias.50256'],
  [{ stop: 5 }, 'stop'],
  [{ stop: [5] }, 'stop.0'],
  [{ tools: {} }, 'tools'],
  [{ tools: ['f'] }, 'tools.0'],
  [{ tool_choice: 5 }, 'tool_choice'],
  [{ parallel_tool_calls: 'yes' }, 'parallel_tool_calls'],
  [{ response_format: 'json' }, 'response_format'],
  [{ user: 5 }, 'user'],
  [{ metadata: [] }, 'metadata'],
]

test('what has not the shape of a chat completion is refused, and the parameter named', async () => {
  const chat = new RelayingChat()
  await using transport = await startSurface(chat)
  for (const [body, param] of invalid) {
    const response = await ask(transport.url, body)
    const { error } = (await response.json()) as Refusal
    assert.deepEqual(
      [response.status, error.code, error.param],
      [400, 'invalid_request', param],
      JSON.stringify(body).slice(0, 100),
    )
  }
  assert.equal(chat.relays.length, 0)
})

test('numbers that are none are refused', async () => {
  await using transport = await startSurface(new RelayingChat())
  const response = await fetch(`${transport.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"model":"default","messages":[{"role":"user","content":""}],"temperature":1e999}',
  })
  assert.equal(((await response.json()) as Refusal).error.param, 'temperature')
})

test('what OpenAI has given up, and what is not served, is refused with what to do instead', async () => {
  await using transport = await startSurface(new RelayingChat())
  const cases: [object, string, RegExp][] = [
    [{ functions: [] }, 'functions', /`tools`/],
    [{ function_call: 'auto' }, 'function_call', /`tool_choice`/],
    [{ n: 2 }, 'n', /as often/],
  ]
  for (const [body, param, hint] of cases) {
    const response = await ask(transport.url, body)
    const { error } = (await response.json()) as Refusal
    assert.deepEqual([response.status, error.code, error.param], [400, 'unsupported_parameter', param])
    assert.match(error.message, hint)
    assert.equal(response.headers.get('x-should-retry'), 'false')
  }
})

test('what is null counts as left out, and what is at its edge is taken', async () => {
  const chat = new RelayingChat()
  await using transport = await startSurface(chat)
  const bodies = [
    { n: null, stream: null, stream_options: null, tools: null, temperature: null, stop: null, response_format: null },
    {
      n: 1,
      stop: ['a', 'b'],
      tool_choice: 'none',
      seed: -1,
      temperature: -1e308,
      max_tokens: 0,
      tools: [{ type: 'custom' }],
    },
    { messages: Array.from({ length: 2048 }, () => user) },
    {
      messages: [
        { role: 'assistant', content: null, tool_calls: null, name: null },
        { role: 'user', content: '' },
      ],
    },
    { messages: [{ role: 'user', content: [] }] },
  ]
  for (const [index, body] of bodies.entries()) {
    const asked = ask(transport.url, body)
    const relay = await chat.relayed(index + 1)
    relay.say('ok').finish()
    assert.equal((await asked).status, 200)
  }
})

test('a model that there is not is not found', async () => {
  await using transport = await startSurface(new RelayingChat())
  for (const model of ['nobody', 'Default', 'x'.repeat(100_000), '../default', '__proto__']) {
    const response = await ask(transport.url, { model })
    const { error } = (await response.json()) as Refusal
    assert.deepEqual([response.status, error.code, error.param], [404, 'model_not_found', 'model'])
  }
})

test('a specialist with actions takes functions only, and none under the name of an action', async () => {
  const chat = new RelayingChat((turn) =>
    turn.emit('turn.failed', { error: { code: 'models_busy', message: 'Busy.' } }),
  )
  await using transport = await startSurface(chat)
  const cases: [object, string, string][] = [
    [{ tools: [tool('mine'), tool('calculate')] }, 'invalid_request', 'tools.1.function.name'],
    [{ tools: [tool(undefined)] }, 'invalid_request', 'tools.0.function.name'],
    [{ tools: [{ type: 'function', function: null }] }, 'invalid_request', 'tools.0.function.name'],
    [{ tools: [{ type: 'custom', custom: { name: 'calculate' } }] }, 'unsupported_parameter', 'tools.0'],
    [{ logprobs: true }, 'unsupported_parameter', 'logprobs'],
  ]
  for (const [body, code, param] of cases) {
    const response = await ask(transport.url, { model: 'helper', ...body })
    const { error } = (await response.json()) as Refusal
    assert.deepEqual([response.status, error.code, error.param], [400, code, param])
  }
  assert.equal(chat.started.length, 0)
  assert.equal((await ask(transport.url, { model: 'helper', tools: [tool('mine')], logprobs: false })).status, 503)
  assert.equal(chat.started.length, 1)
})

test('histories with images in them may be large, up to a limit', async () => {
  const chat = new RelayingChat()
  await using transport = await startSurface(chat, { limits: { bodyBytes: 1000, completionBodyBytes: 50_000 } })
  const frame = JSON.stringify({ model: 'default', messages: [{ role: 'user', content: '' }] }).length
  const largest = { messages: [{ role: 'user', content: 'x'.repeat(50_000 - frame) }] }
  const asked = ask(transport.url, largest)
  const relay = await chat.relayed(1)
  relay.say('ok').finish()
  assert.equal((await asked).status, 200)
  const refused = await ask(transport.url, { messages: [{ role: 'user', content: 'x'.repeat(50_001 - frame) }] })
  assert.equal(refused.status, 413)
  assert.equal(((await refused.json()) as Refusal).error.code, 'body_too_large')
})

test('keys are accepted as OpenAI and as Azure clients send them', async () => {
  const chat = new RelayingChat()
  await using transport = await startSurface(chat)
  for (const [index, headers] of [{ authorization: 'Bearer sk-any' }, { 'api-key': 'any' }].entries()) {
    const asked = ask(transport.url, {}, { headers })
    const relay = await chat.relayed(index + 1)
    relay.say('ok').finish()
    assert.equal((await asked).status, 200)
  }
})

test('whoever is nobody is asked for nothing', async () => {
  const chat = new RelayingChat()
  await using transport = await startSurface(chat, {
    authenticate: () => Promise.reject(new ParleyError('unauthenticated')),
  })
  assert.equal((await ask(transport.url)).status, 401)
  assert.equal(chat.relays.length, 0)
})
