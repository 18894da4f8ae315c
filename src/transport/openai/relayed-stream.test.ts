import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { ask, contentOf, rawAsk, readStream, startSurface } from '../../../test/support/completions.ts'
import { RelayingChat, type ScriptedRelay } from '../../../test/support/scripted-relay.ts'

async function surface() {
  const chat = new RelayingChat()
  return { chat, transport: await startSurface(chat) }
}

/** Asks for a stream, and waits until the chat relays. */
async function relaying(body: object = {}) {
  const { chat, transport } = await surface()
  const asked = ask(transport.url, { stream: true, ...body })
  return { chat, transport, asked, relay: await chat.relayed(1) }
}

test('what the provider says reaches the caller byte for byte, and then [DONE]', async () => {
  const { transport, asked, relay } = await relaying()
  await using _ = transport
  const odd = 'data: {"id":"x","choices":[{"delta":{"content":"δ🙂 \\ud83d"}}],"vendor":{"b":1,"a":[2]}}\r\n\r\n'
  relay.speaker('primary').frames(odd).frames('data:{"choices":[]}\n\n').finish()
  const response = await asked
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8')
  const body = await response.text()
  assert.ok(body.startsWith(`${odd}data:{"choices":[]}\n\n`))
  assert.ok(body.endsWith('data: [DONE]\n\n'))
  assert.equal(body.split('[DONE]').length, 2)
})

test('head, answer and end leave in one write when they come at once', async () => {
  const { chat, transport } = await surface()
  await using _ = transport
  const client = transport.raw().send(rawAsk())
  const relay = await chat.relayed(1)
  relay.speaker('primary').say('all ', 'at ', 'once').finish()
  await client.until('\r\n0\r\n\r\n')
  assert.equal(client.reads, 1)
})

test('the request reaches the chat as it came: who asks, of whom, with all that is not ours', async () => {
  const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]
  const messages = [
    { role: 'developer', content: 'Be brief.', cache_control: { type: 'ephemeral' } },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'see' },
        { type: 'image_url', image_url: { url: 'data:,' } },
      ],
      name: 'ann',
    },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{' } }],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'control \u0000\u001b[31m and half a \ud83d stay' },
  ]
  const parameters = {
    tools,
    tool_choice: 'auto',
    n: 1,
    max_tokens: 5,
    max_completion_tokens: 6,
    temperature: null,
    vendor: { deep: [1, null] },
  }
  const { transport, asked, relay } = await relaying({
    messages,
    ...parameters,
    stream_options: { include_usage: false, include_obfuscation: false },
  })
  await using _ = transport
  assert.equal(relay.principal.id, 'caller')
  assert.equal(relay.request.to.name, 'default')
  assert.deepEqual(relay.request.messages, messages)
  assert.deepEqual(relay.request.parameters, parameters)
  relay.finish()
  assert.equal((await asked).status, 200)
})

test('the stream opens with the first frames, and says who speaks by then', async () => {
  const { transport, asked, relay } = await relaying({ model: 'plain' })
  await using _ = transport
  let answered = false
  void asked.then(() => {
    answered = true
  })
  relay.speaker('primary').ended({ outcome: 'failed', reason: 'stalled' })
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(answered, false)
  relay.speaker('backup').say('here')
  const response = await asked
  assert.equal(response.headers.get('x-parley-model'), 'backup')
  assert.equal(response.headers.get('x-parley-config'), 'v001')
  assert.match(response.headers.get('x-request-id') ?? '', /^req_/)
  assert.equal(response.headers.get('x-parley-turn'), null)
  relay.finish()
  assert.equal(contentOf(readStream(await response.text()).chunks), 'here')
})

test('an answer without any frame is an empty stream that ends well', async () => {
  const { chat, transport } = await surface()
  await using _ = transport
  chat.relay = async (_principal, _request, sink) => {
    sink.speaker?.({
      name: 'primary',
      spec: { provider: 'offline', contextWindow: 1, continuation: 'restart', price: { input: 0, output: 0 } },
    })
    return { finish: 'stop', text: '', toolCalls: [], model: 'primary', wire: { id: 'x', created: 1, model: 'm' } }
  }
  const response = await ask(transport.url, { stream: true })
  assert.equal(response.headers.get('x-parley-model'), 'primary')
  assert.equal(await response.text(), 'data: [DONE]\n\n')
})

test('a failure before the first frame is a response of its own', async () => {
  const cases: [ParleyError, string, string | null][] = [
    [new ParleyError('models_unavailable', { retryAfterMs: 2500 }), 'true', '3'],
    [new ParleyError('provider_rejected', { message: 'No such tool.', param: 'tools' }), 'false', null],
    [new ParleyError('model_timeout'), 'true', null],
    [new ParleyError('shutting_down'), 'true', null],
  ]
  for (const [fault, shouldRetry, retryAfter] of cases) {
    const { transport, asked, relay } = await relaying()
    await using _ = transport
    relay.ended({ outcome: 'failed', reason: 'cut_off' }).fail(fault)
    const response = await asked
    assert.equal(response.status, fault.status)
    assert.equal(response.headers.get('retry-after'), retryAfter)
    assert.equal(response.headers.get('x-should-retry'), shouldRetry)
    assert.deepEqual(await response.json(), fault.toBody(response.headers.get('x-request-id') ?? ''))
  }
})

test('a failure within the answer is an error chunk, without [DONE]', async () => {
  const { transport, asked, relay } = await relaying({ stream_options: { include_usage: true } })
  await using _ = transport
  relay.speaker('primary').say('half')
  const response = await asked
  relay.fail(new ParleyError('model_interrupted'))
  const { chunks, done } = readStream(await response.text())
  assert.equal(done, false)
  assert.equal(contentOf(chunks.slice(0, 1)), 'half')
  assert.deepEqual(
    chunks.at(-1),
    new ParleyError('model_interrupted').toBody(response.headers.get('x-request-id') ?? ''),
  )
  assert.equal(chunks.length, 2)
  assert.deepEqual(transport.logged, [])
})

test('a fault of our own within the answer is logged with its cause, and told without it', async () => {
  const { transport, asked, relay } = await relaying()
  await using _ = transport
  relay.say('half').fail(new TypeError('secret detail'))
  const response = await asked
  const body = await response.text()
  assert.equal(readStream(body).chunks.at(-1)?.error?.code, 'internal')
  assert.ok(!body.includes('secret'))
  assert.equal(transport.logged[0]?.msg, 'Streaming an answer failed')
  assert.equal(transport.logged[0]?.requestId, response.headers.get('x-request-id'))
})

test('a model that goes on is not told of in the stream', async () => {
  const { transport, asked, relay } = await relaying()
  await using _ = transport
  relay.speaker('primary').say('one ').ended({ outcome: 'failed', reason: 'cut_off' })
  relay.speaker('backup').seam('backup', 'cut_off').say('two').finish()
  const response = await asked
  const { chunks, done } = readStream(await response.text())
  assert.equal(response.headers.get('x-parley-model'), 'primary')
  assert.equal(contentOf(chunks), 'one two')
  assert.equal(chunks.length, 3)
  assert.ok(done)
})

test('a model that starts over ends the stream with an error, and is called off', async () => {
  const { transport, asked, relay } = await relaying()
  await using _ = transport
  relay.speaker('primary').say('one ')
  const response = await asked
  relay.speaker('backup').seam('backup', 'stalled', true).say('never seen').finish()
  const { chunks, done } = readStream(await response.text())
  assert.equal(chunks.length, 2)
  assert.equal(chunks[1]?.error?.code, 'model_interrupted')
  assert.equal(done, false)
  assert.ok(relay.request.abort.signal.aborted)
})

test('a model that thinks for long opens its stream, so that its silence is not taken for the end', async () => {
  for (const fails of [false, true]) {
    const clock = manualClock()
    const chat = new RelayingChat()
    await using transport = await startSurface(chat, { clock })
    const asked = ask(transport.url, { stream: true })
    const relay = await chat.relayed(1)
    relay.speaker('primary')
    await new Promise(setImmediate)
    clock.advance(15_000)
    const response = await asked
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('x-parley-model'), 'primary')
    // Nothing was shown that another model would have to take back.
    relay.seam('backup', 'first_token_timeout', true)
    if (fails) relay.fail(new ParleyError('model_failed'))
    else relay.say('At last.').finish()
    const { chunks, done } = readStream(await response.text())
    assert.equal(done, !fails)
    if (fails) assert.equal(chunks[0]?.error?.code, 'model_failed')
    else assert.equal(contentOf(chunks), 'At last.')
  }
})

test('the usage chunk comes last, on request only: what all models used, and which failed', async () => {
  for (const includeUsage of [true, false]) {
    const { transport, asked, relay } = await relaying({ stream_options: { include_usage: includeUsage } })
    await using _ = transport
    relay.ended({
      model: 'primary',
      outcome: 'failed',
      reason: 'connect_failed',
      inputTokens: 0,
      outputTokens: 0,
      cachedTokens: 0,
      costUsd: 0,
    })
    relay.ended({
      model: 'second',
      outcome: 'failed',
      reason: 'stalled',
      inputTokens: 9,
      outputTokens: 2,
      cachedTokens: 0,
      costUsd: 0.25,
    })
    relay.speaker('third').say('text').finish({ model: 'third' })
    const { chunks, done } = readStream(await (await asked).text())
    assert.ok(done)
    const usage = chunks.filter((chunk) => chunk.usage)
    assert.equal(usage.length, includeUsage ? 1 : 0)
    if (!includeUsage) continue
    assert.deepEqual(chunks.at(-1), {
      id: 'chatcmpl-scripted',
      object: 'chat.completion.chunk',
      created: 7,
      model: 'wire',
      choices: [],
      usage: { prompt_tokens: 19, completion_tokens: 7, total_tokens: 26, prompt_tokens_details: { cached_tokens: 4 } },
      parley: {
        failovers: [
          { model: 'primary', reason: 'connect_failed' },
          { model: 'second', reason: 'stalled' },
        ],
        cost_usd: 0.251,
      },
    })
  }
})

test('a caller that leaves is worked for no longer, whether it has seen anything or not', async () => {
  for (const begun of [false, true]) {
    const { chat, transport } = await surface()
    await using _ = transport
    const client = transport.raw().send(rawAsk())
    const relay = await chat.relayed(1)
    if (begun) {
      relay.speaker('primary').say('some')
      await client.until('some')
    }
    const aborted = aborts(relay)
    client.destroy()
    await aborted
    assert.deepEqual(transport.logged, [])
  }
})

test('an answer that is complete is not called off afterwards', async () => {
  const { transport, asked, relay } = await relaying()
  await using _ = transport
  relay.say('all').finish()
  await (await asked).text()
  const again = ask(transport.url, { model: 'nobody' })
  assert.equal((await again).status, 404)
  assert.equal(relay.request.abort.signal.aborted, false)
})

test('a reader that takes nothing holds the provider back, until it takes again', async () => {
  const { chat, transport } = await surface()
  await using _ = transport
  const client = transport.raw()
  client.socket.pause()
  client.send(rawAsk())
  const relay = await chat.relayed(1)
  const piece = 'x'.repeat(60_000)
  let sent = 0
  while (!relay.paused && sent < 1000) {
    relay.say(piece)
    sent += 1
    await new Promise(setImmediate)
  }
  assert.ok(relay.paused, 'nothing held the provider back')
  assert.equal(relay.pauses, 1)
  relay.say(piece)
  assert.equal(relay.pauses, 1)
  client.socket.resume()
  while (relay.paused) await new Promise(setImmediate)
  relay.finish()
  const received = await client.until('data: [DONE]\n\n')
  assert.equal(received.split('x'.repeat(1000)).length - 1, (sent + 1) * 60)
})

test('a reader that stays deaf is told so and cut off, and worked for no longer', async () => {
  const chat = new RelayingChat()
  await using transport = await startSurface(chat, { limits: { heartbeatMs: 30, slowConsumerMs: 60 } })
  const client = transport.raw()
  client.socket.pause()
  client.send(rawAsk())
  const relay = await chat.relayed(1)
  const aborted = aborts(relay)
  while (!relay.paused) {
    relay.say('x'.repeat(60_000))
    await new Promise(setImmediate)
  }
  await aborted
  client.socket.resume()
  assert.ok(!(await client.untilClosed()).includes('[DONE]'))
})

test('streams end with an error when the server closes', async () => {
  const { transport, asked, relay } = await relaying()
  relay.say('some')
  const response = await asked
  const closing = transport.server.close()
  const { chunks, done } = readStream(await response.text())
  await closing
  assert.equal(chunks.at(-1)?.error?.code, 'shutting_down')
  assert.equal(done, false)
  assert.ok(relay.request.abort.signal.aborted)
})

function aborts({ request }: ScriptedRelay): Promise<void> {
  const { signal } = request.abort
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
