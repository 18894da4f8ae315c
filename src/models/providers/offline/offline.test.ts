import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../../../test/support/clock.ts'
import { ChunkReader } from '../../chunk-reader.ts'
import type { ModelSpec } from '../../schema.ts'
import { offline } from './offline.ts'
import { piecesOf } from './pieces.ts'

const spec: ModelSpec = {
  provider: 'offline',
  contextWindow: 1000,
  continuation: 'prefill',
  price: { input: 0, output: 0 },
}

function start(said: string, options: { pace?: number; more?: object } = {}) {
  const clock = manualClock()
  const provider = offline(clock)
  const reader = new ChunkReader('text')
  const events: string[] = []
  const used = { ...spec, ...(options.pace && { pace: options.pace }) }
  const body = { messages: [{ role: 'user', content: said }], stream: true, ...options.more }
  const flight = provider.open(
    { spec: used, body },
    {
      started: () => events.push('started'),
      data: (chunk) => {
        events.push('data')
        reader.push(chunk)
      },
      end: () => events.push('end'),
      refused: () => events.push('refused'),
      failed: () => events.push('failed'),
    },
  )
  return { clock, provider, flight, reader, events, tokens: () => piecesOf(reader.text()).length }
}

test('streams at its pace: the first token at once, the others in time', () => {
  const { clock, events, tokens } = start('write 200 words', { pace: 100 })
  assert.deepEqual(events, [])
  clock.advance(0)
  assert.deepEqual(events, ['started', 'data'])
  assert.equal(tokens(), 1)
  clock.advance(990)
  assert.equal(tokens(), 100)
  clock.advance(60_000)
  assert.equal(events.at(-1), 'end')
  assert.equal(clock.pending, 0)
})

test('gives 60 tokens a second unless told otherwise', () => {
  const { clock, tokens } = start('write 2000 words')
  clock.advance(15_000)
  assert.equal(tokens(), 901)
})

test('has the format of a provider: role, finish, end mark, usage when asked for', () => {
  const asked = start('Hello', { more: { stream_options: { include_usage: true } } })
  asked.clock.advance(60_000)
  const { reader } = asked
  assert.match(reader.text(), /^Hello! I am Parley's offline model\./)
  assert.deepEqual([reader.finishReason, reader.done, reader.fault], ['stop', true, undefined])
  assert.deepEqual(reader.usage, {
    prompt: piecesOf('[{"role":"user","content":"Hello"}]').length,
    cached: 0,
    completion: asked.tokens(),
  })
  assert.match(reader.wire?.id ?? '', /^chatcmpl-offline-/)
  assert.deepEqual([reader.wire?.model, reader.wire?.created], ['offline', Date.UTC(2026, 0, 5, 12) / 1000])
  const unasked = start('Hello')
  unasked.clock.advance(60_000)
  assert.equal(unasked.reader.usage, undefined)
})

test('respects max_tokens and max_completion_tokens at the edge', () => {
  const whole = start('count to 3')
  whole.clock.advance(60_000)
  const length = whole.tokens()
  for (const [limit, finish] of [
    [length, 'stop'],
    [length - 1, 'length'],
    [1, 'length'],
  ] as const) {
    for (const more of [{ max_tokens: limit }, { max_completion_tokens: limit, max_tokens: 99 }]) {
      const { clock, reader, tokens } = start('count to 3', { more })
      clock.advance(60_000)
      assert.deepEqual([tokens(), reader.finishReason], [limit, finish])
    }
  }
})

test('streams calls in pieces, two of them when asked two things', () => {
  const tools = ['add_numbers', 'send_mail'].map((name) => ({ type: 'function', function: { name, parameters: {} } }))
  const { clock, reader } = start('call add_numbers with {"a":1} and call send_mail with {"b":', { more: { tools } })
  clock.advance(60_000)
  assert.equal(reader.finishReason, 'tool_calls')
  assert.equal(reader.text(), '')
  assert.deepEqual(reader.toolCalls(), [
    { index: 0, id: 'call_1_0', name: 'add_numbers', arguments: '{"a":1}' },
    { index: 1, id: 'call_1_1', name: 'send_mail', arguments: '{"b":', invalid: 'The arguments are not valid JSON.' },
  ])
})

test('an abort silences it', () => {
  const { clock, flight, events } = start('write 200 words')
  clock.advance(100)
  const before = events.length
  flight.abort()
  clock.advance(60_000)
  assert.equal(events.length, before)
  assert.equal(clock.pending, 0)
})

test('says nothing while it is paused, and everything after', () => {
  const { clock, flight, events, reader } = start('write 50 words')
  clock.advance(100)
  const before = events.length
  flight.pause()
  clock.advance(60_000)
  assert.equal(events.length, before)
  flight.resume()
  clock.advance(15)
  assert.equal(events.at(-1), 'end')
  assert.equal(reader.text().split(' ').length, 50)
})

test('one timer moves all its streams', () => {
  const { clock, provider, events } = start('write 20 words')
  const handler = { started() {}, data() {}, end: () => events.push('other end'), refused() {}, failed() {} }
  for (let count = 0; count < 100; count++) provider.open({ spec, body: { messages: [] } }, handler)
  assert.equal(clock.pending, 1)
  clock.advance(200)
  assert.equal(clock.pending, 1)
  clock.advance(60_000)
  assert.equal(events.filter((event) => event === 'other end').length, 100)
  assert.equal(clock.pending, 0)
})

test('closing it stops its streams', async () => {
  const { clock, provider, events } = start('write 20 words')
  await provider.close()
  clock.advance(60_000)
  assert.deepEqual(events, [])
})

test('a probe of it succeeds', async () => {
  await assert.doesNotReject(start('x').provider.probe(spec, AbortSignal.timeout(1000)))
})

test('a handler that aborts within a call hears no more', () => {
  const clock = manualClock()
  const heard: string[] = []
  const flight = offline(clock).open(
    { spec, body: { messages: [] } },
    {
      started: () => {
        heard.push('started')
        flight.abort()
      },
      data: () => heard.push('data'),
      end: () => heard.push('end'),
      refused() {},
      failed() {},
    },
  )
  clock.advance(60_000)
  assert.deepEqual(heard, ['started'])
})
