import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { ask, contentOf, rawAsk, readStream, startSurface } from '../../../test/support/completions.ts'
import type { ScriptedTurn } from '../../../test/support/scripted-chat.ts'
import { RelayingChat } from '../../../test/support/scripted-relay.ts'
import type { TransportServerOptions } from '../../../test/support/transport-server.ts'
import { playWithAction, receipt, segment } from '../../../test/support/turn-script.ts'

/** A surface, and the turn that the first request to it starts. */
async function surface(options: TransportServerOptions = {}) {
  const opened = Promise.withResolvers<ScriptedTurn>()
  const chat = new RelayingChat(opened.resolve)
  return { chat, transport: await startSurface(chat, options), opened: opened.promise }
}

async function streaming(body: object = {}, init: RequestInit = {}) {
  const { chat, transport, opened } = await surface()
  const asked = ask(transport.url, { model: 'helper', stream: true, ...body }, init)
  return { chat, transport, asked, turn: await opened }
}

test('a turn is streamed as its text; our calls stay our business', async () => {
  const { transport, asked, turn } = await streaming()
  await using _ = transport
  playWithAction(turn)
  const response = await asked
  assert.equal(response.headers.get('x-parley-turn'), turn.id)
  assert.equal(response.headers.get('x-parley-model'), 'primary')
  assert.equal(response.headers.get('x-parley-config'), 'v001')
  const { chunks, done } = readStream(await response.text())
  assert.ok(done)
  assert.equal(contentOf(chunks), 'Let me see. It is 42.')
  assert.deepEqual(chunks[0]?.choices[0]?.delta, { role: 'assistant', content: '' })
  assert.ok(chunks.every((chunk) => chunk.id === turn.id && chunk.model === 'helper'))
  assert.deepEqual(
    chunks.map((chunk) => chunk.choices[0]?.finish_reason),
    [null, null, null, null, 'stop'],
  )
  assert.ok(!JSON.stringify(chunks).includes('calculate'))
})

test('the turn gets what the caller said, asked for and named it by', async () => {
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
  const tools = [{ type: 'function', function: { name: 'mine', parameters: {} } }]
  const messages = [{ role: 'user', content: 'And now?' }]
  const { chat, transport, asked, turn } = await streaming(
    { messages, tools, temperature: 0.5, stream_options: { include_usage: true } },
    { headers: { 'idempotency-key': 'k1', traceparent } },
  )
  await using _ = transport
  const served = { config: 'v001', arm: 'stable', cohort: '', unit: chat.addressed[0] }
  assert.deepEqual(chat.started[0]?.request, {
    in: { specialist: 'helper', history: messages, parameters: { tools, temperature: 0.5 }, served },
    idempotencyKey: 'k1',
    traceparent,
  })
  playWithAction(turn)
  assert.equal((await asked).status, 200)
})

test('calls of the caller’s own tools are returned, numbered, with their finish reason', async () => {
  const { transport, asked, turn } = await streaming()
  await using _ = transport
  const toolCalls = ['a', 'b'].map((id) => ({ id, type: 'function', function: { name: 'mine', arguments: '{"x":1}' } }))
  turn.emit('token', { text: 'Wait.', model: 'primary' })
  turn.emit('turn.completed', { finish: 'tool_calls', toolCalls, receipt: receipt(turn) })
  const { chunks, done } = readStream(await (await asked).text())
  assert.ok(done)
  assert.deepEqual(chunks.at(-2)?.choices[0]?.delta, {
    tool_calls: toolCalls.map((call, index) => ({ index, ...call })),
  })
  assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, 'tool_calls')
})

test('an answer without a word still begins and ends as one', async () => {
  const { transport, asked, turn } = await streaming()
  await using _ = transport
  turn.emit('turn.completed', { finish: 'content_filter', receipt: receipt(turn) })
  const { chunks } = readStream(await (await asked).text())
  assert.deepEqual(
    chunks.map(({ choices }) => [choices[0]?.delta, choices[0]?.finish_reason]),
    [
      [{ role: 'assistant', content: '' }, null],
      [{}, 'content_filter'],
    ],
  )
})

test('the usage chunk, on request, has all steps and failovers', async () => {
  for (const includeUsage of [true, false]) {
    const { transport, asked, turn } = await streaming({ stream_options: { include_usage: includeUsage } })
    await using _ = transport
    const segments = [
      segment({ outcome: 'failed', reason: 'stalled' }),
      segment({ model: 'backup' }),
      segment({ step: 1 }),
    ]
    turn.emit('token', { text: 'x' })
    turn.emit('turn.completed', { finish: 'stop', receipt: receipt(turn, segments) })
    const { chunks } = readStream(await (await asked).text())
    const last = chunks.at(-1)
    assert.equal(last?.usage !== undefined, includeUsage)
    if (!includeUsage) continue
    assert.deepEqual(last?.choices, [])
    assert.equal(last?.usage?.total_tokens, 45)
    assert.deepEqual(last?.parley?.failovers, [{ model: 'primary', reason: 'stalled' }])
  }
})

test('a turn that fails before its first word is an error with its status', async () => {
  const { chat, transport, asked, turn } = await streaming()
  await using _ = transport
  turn.emit('turn.started', { turn: turn.id })
  turn.emit('turn.failed', { error: { code: 'turn_deadline', message: 'Too long.' }, receipt: receipt(turn) })
  const response = await asked
  assert.equal(response.status, 504)
  assert.equal(response.headers.get('x-should-retry'), 'false')
  assert.equal(response.headers.get('x-parley-turn'), turn.id)
  const { error } = (await response.json()) as { error: Record<string, unknown> }
  assert.deepEqual(
    [error.code, error.message, error.request_id],
    ['turn_deadline', 'Too long.', response.headers.get('x-request-id')],
  )
  assert.deepEqual(chat.cancelled, [])
})

test('a turn that fails later, or is cancelled by somebody, ends the stream with an error', async () => {
  for (const [type, code] of [
    ['turn.failed', 'model_failed'],
    ['turn.cancelled', 'turn_finished'],
  ] as const) {
    const { transport, asked, turn } = await streaming()
    await using _ = transport
    turn.emit('token', { text: 'half' })
    const response = await asked
    turn.emit(type, { error: { code: 'model_failed', message: 'It failed.' }, receipt: receipt(turn) })
    const { chunks, done } = readStream(await response.text())
    assert.equal(chunks.at(-1)?.error?.code, code)
    assert.equal(chunks.at(-1)?.error?.request_id, response.headers.get('x-request-id'))
    assert.equal(done, false)
  }
})

test('a model that starts over within a step ends the stream with an error and the turn with it', async () => {
  const { chat, transport, asked, turn } = await streaming()
  await using _ = transport
  turn.emit('token', { text: 'half' })
  const response = await asked
  turn.emit('segment', { model: 'backup', reason: 'stalled', reset: true })
  const { chunks } = readStream(await response.text())
  assert.equal(chunks.at(-1)?.error?.code, 'model_interrupted')
  assert.deepEqual(chat.cancelled, [turn.id])
})

test('a seam that takes nothing back, or nothing that was shown, is not told of', async () => {
  const { transport, asked, turn } = await streaming()
  await using _ = transport
  turn.emit('token', { text: 'one ' })
  turn.emit('segment', { model: 'backup', reason: 'stalled' })
  turn.emit('token', { text: 'two ' })
  turn.emit('call', { step: 0, index: 0, action: 'calculate', arguments: '{}' })
  turn.emit('segment', { model: 'backup', reason: 'stalled', reset: true })
  turn.emit('token', { text: 'three' })
  turn.emit('turn.completed', { finish: 'stop', receipt: receipt(turn) })
  const { chunks, done } = readStream(await (await asked).text())
  assert.equal(contentOf(chunks), 'one two three')
  assert.ok(done)
})

test('where the log is gone its text is told from where the caller stands', async () => {
  const { transport, asked, turn } = await streaming()
  await using _ = transport
  turn.emit('token', { text: 'one ' })
  turn.emit('snapshot', { text: 'one two', at: 3 })
  turn.emit('turn.completed', { finish: 'stop', receipt: receipt(turn) })
  assert.equal(contentOf(readStream(await (await asked).text()).chunks), 'one two')
})

test('a request that cannot start a turn is an error', async () => {
  const { chat, transport } = await surface()
  await using _ = transport
  chat.refusal = new ParleyError('overloaded', { retryAfterMs: 1000 })
  const response = await ask(transport.url, { model: 'helper', stream: true })
  assert.equal(response.status, 503)
  assert.equal(response.headers.get('retry-after'), '1')
  const bad = await ask(transport.url, { model: 'helper' }, { headers: { 'idempotency-key': 'x'.repeat(256) } })
  assert.equal(bad.status, 400)
})

test('a caller that leaves cancels the turn, whether it has seen anything or not', async () => {
  for (const begun of [false, true]) {
    const { chat, transport, opened } = await surface()
    await using _ = transport
    const client = transport.raw().send(rawAsk({ model: 'helper' }))
    const turn = await opened
    if (begun) {
      turn.emit('token', { text: 'some' })
      await client.until('some')
    }
    while (turn.readers === 0) await setImmediate()
    client.destroy()
    while (turn.readers > 0 || chat.cancelled.length === 0) await setImmediate()
    assert.deepEqual(chat.cancelled, [turn.id])
    assert.deepEqual(transport.logged, [])
  }
})

test('a caller that leaves while its turn is being opened cancels it, too', async () => {
  const { chat, transport, opened } = await surface()
  await using _ = transport
  const gate = Promise.withResolvers<void>()
  const start = chat.start.bind(chat)
  const asked = Promise.withResolvers<void>()
  chat.start = async (...given) => {
    asked.resolve()
    await gate.promise
    return start(...given)
  }
  const client = transport.raw().send(rawAsk({ model: 'helper' }))
  await asked.promise
  client.destroy()
  await client.closed
  await setImmediate()
  gate.resolve()
  const turn = await opened
  while (chat.cancelled.length === 0) await setImmediate()
  assert.deepEqual(chat.cancelled, [turn.id])
})

test('a turn that cannot be cancelled is noted, one that has ended is not', async () => {
  for (const [code, lines] of [
    ['state_unavailable', ['A turn that nobody reads could not be cancelled']],
    ['turn_finished', []],
  ] as const) {
    const { chat, transport, opened } = await surface()
    await using _ = transport
    const cancelled = Promise.withResolvers<void>()
    chat.cancel = async () => {
      cancelled.resolve()
      throw new ParleyError(code)
    }
    const client = transport.raw().send(rawAsk({ model: 'helper' }))
    await opened
    client.destroy()
    await cancelled.promise
    await setImmediate()
    assert.deepEqual(
      transport.logged.map(({ msg }) => msg),
      lines,
    )
  }
})

test('a reader of the turn that fails is an error in its place, and ends the turn', async () => {
  for (const begun of [false, true]) {
    const { chat, transport, asked, turn } = await streaming()
    await using _ = transport
    if (begun) turn.emit('token', { text: 'some' })
    await setImmediate()
    turn.fail(new ParleyError('state_unavailable'))
    const response = await asked
    assert.equal(response.status, begun ? 200 : 503)
    assert.ok((await response.text()).includes('state_unavailable'))
    assert.deepEqual(chat.cancelled, [turn.id])
  }
})

test('a turn that is silent for long opens its stream, so that its silence is not taken for the end', async () => {
  const clock = manualClock()
  const { transport, opened } = await surface({ clock })
  await using _ = transport
  const asked = ask(transport.url, { model: 'helper', stream: true })
  const turn = await opened
  await setImmediate()
  clock.advance(15_000)
  const response = await asked
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('x-parley-model'), null)
  assert.equal(response.headers.get('x-parley-turn'), turn.id)
  turn.emit('turn.failed', { error: { code: 'model_failed', message: 'It failed.' } })
  assert.equal(readStream(await response.text()).chunks[0]?.error?.code, 'model_failed')
})

test('the same Idempotency-Key gives the same turn, from its start', async () => {
  const chat = new RelayingChat(playWithAction)
  await using transport = await startSurface(chat)
  const init = { headers: { 'idempotency-key': 'once' } }
  const bodies = []
  for (let i = 0; i < 2; i++) {
    const response = await ask(transport.url, { model: 'helper', stream: true }, init)
    bodies.push([response.headers.get('x-parley-turn'), contentOf(readStream(await response.text()).chunks)])
  }
  assert.deepEqual(bodies[0], bodies[1])
  assert.equal(chat.started.length, 1)
})
