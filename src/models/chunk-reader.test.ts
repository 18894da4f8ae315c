import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChunkReader } from './chunk-reader.ts'
import { encodeFrame } from './encode-frame.ts'

const HEAD =
  '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":17,"model":"gpt-β","choices":[{"index":0,"delta":'
const wire = { id: 'chatcmpl-1', created: 17, model: 'gpt-β' }

const chunk = (delta: string, finish = 'null', more = '') =>
  `${HEAD}${delta},"logprobs":null,"finish_reason":${finish}}]${more}}`
const frame = (event: string) => Buffer.from(`data: ${event}\n\n`)
const content = (text: string, more = '') => frame(chunk(`{"content":${JSON.stringify(text)}}`, 'null', more))
const USAGE = '"usage":{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4}}'

test('reads text, finish, usage and signature', () => {
  const stream = Buffer.concat([
    frame(chunk('{"role":"assistant","content":""}')),
    content('Hel'),
    content('lo 🙂'),
    content('!'),
    frame(chunk('{}', '"stop"')),
    frame(`{"id":"chatcmpl-1","choices":[],${USAGE}}`),
    Buffer.from('data: [DONE]\n\n'),
  ])
  const reader = new ChunkReader('text')
  assert.deepEqual(reader.push(stream), { text: 'Hello 🙂!', frames: undefined, visible: true })
  assert.equal(reader.text(), 'Hello 🙂!')
  assert.equal(reader.finishReason, 'stop')
  assert.deepEqual(reader.usage, { prompt: 9, cached: 4, completion: 3 })
  assert.deepEqual(reader.wire, wire)
  assert.equal(reader.done, true)
  assert.deepEqual(reader.push(content('more')), { text: '', frames: undefined, visible: false })
})

test('relays the bytes of a read as they are, without copying them', () => {
  const reader = new ChunkReader('relay')
  const read = Buffer.concat([content('a'), content('b')])
  const piece = reader.push(read)
  assert.equal(piece.frames, read)
  const mixed = Buffer.concat([Buffer.from(': ping\n\n'), content('c')])
  assert.equal(reader.push(mixed).frames?.buffer, mixed.buffer)
  assert.equal(reader.text(), 'abc')
})

test('keeps usage frames, the end mark, comments and errors from a relay', () => {
  const kept = [content('a'), content('b'), frame(chunk('{}', '"stop"', `,${USAGE}`))]
  const reader = new ChunkReader('relay')
  const [a, b, last] = kept as [Buffer, Buffer, Buffer]
  const stream = [
    a,
    Buffer.from(': keep-alive\n\n'),
    b,
    frame(`{"choices":[],${USAGE}}`),
    Buffer.from('\r\nevent: ping\n\n'),
    last,
  ]
  assert.deepEqual(reader.push(Buffer.concat(stream)).frames, Buffer.concat(kept))
  assert.deepEqual(reader.push(frame('{"error":{"message":"overloaded"}}')), {
    text: '',
    frames: undefined,
    visible: false,
  })
  assert.deepEqual(reader.fault, { reason: 'server_error', message: 'overloaded' })
  assert.deepEqual(reader.push(content('c')).frames, undefined)
})

test('does not call empty strings visible, but refusals, reasoning and tool calls', () => {
  const visible = (delta: string) => new ChunkReader('text').push(frame(chunk(delta))).visible
  assert.equal(visible('{"role":"assistant","content":"","refusal":null}'), false)
  assert.equal(visible('{"content":"","tool_calls":[]}'), false)
  assert.equal(visible('{"reasoning_content":""}'), false)
  assert.equal(visible('{"refusal":"No."}'), true)
  assert.equal(visible('{"reasoning_content":"hm"}'), true)
  assert.equal(visible('{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":""}}]}'), true)
  assert.equal(visible('{"function_call":{"name":"f"}}'), true)
})

test('does not parse the events that are like the one before', (t) => {
  const parse = t.mock.method(JSON, 'parse')
  for (const more of ['', ',"usage":null,"obfuscation":"aB3"']) {
    for (const mode of ['text', 'relay'] as const) {
      const reader = new ChunkReader(mode)
      reader.push(content('first', more))
      reader.push(content('second', more))
      const before = parse.mock.callCount()
      for (let count = 0; count < 50; count++)
        reader.push(content(`ä${count}`, more.replace('aB3', 'x'.repeat(count % 9))))
      assert.equal(parse.mock.callCount(), before)
      assert.equal(reader.text().length, 'firstsecond'.length + 10 * 2 + 40 * 3)
    }
  }
})

test('goes on parsing, at no more than its cost, where all frames differ', (t) => {
  const reader = new ChunkReader('text')
  const parse = t.mock.method(JSON, 'parse')
  for (let count = 0; count < 100; count++) reader.push(content('x', `,"n":${count}`))
  assert.equal(reader.text(), 'x'.repeat(100))
  assert.ok(parse.mock.callCount() < 110)
})

test('an error in the stream ends it, in any shape', () => {
  const fault = (event: string) => {
    const reader = new ChunkReader('text')
    reader.push(frame(event))
    return reader.fault
  }
  assert.deepEqual(fault('{"error":{"message":"m"},"choices":[]}'), { reason: 'server_error', message: 'm' })
  assert.deepEqual(fault('{"error":"plain"}'), { reason: 'server_error', message: 'plain' })
  assert.deepEqual(fault('{"object":"error","message":"old"}'), { reason: 'server_error', message: 'old' })
  assert.equal(fault('{"error":{}}')?.reason, 'server_error')
  assert.equal(fault('{"error":null,"choices":[]}'), undefined)
})

test('anything but a JSON object is garbage', () => {
  for (const data of ['{"choices":[', 'null', '[]', '3', '"text"', '<html>']) {
    const reader = new ChunkReader('text')
    const { text } = reader.push(Buffer.concat([content('before'), frame(data), content('after')]))
    assert.equal(text, 'before')
    assert.equal(reader.fault?.reason, 'garbage', data)
  }
})

test('tolerates what providers leave out or add', () => {
  const stream = Buffer.from(
    [
      '\ufeff: hello\r\n\r\n',
      'data:{"id":"","choices":[],"prompt_filter_results":[]}\r\n\r\n',
      'data: {"id":"x","created":1,"model":"m","choices":[{"index":0}]}\n\n',
      'id: 7\nevent: message\ndata: {"choices":[{"delta":\ndata: {"content":"A"}}]}\n\n\n\n',
      'data: {"choices":[{"index":1,"delta":{"content":"other"}},{"index":0,"delta":{"content":"B"}}]}\n\n',
      'data: {"choices":[{"index":0,"delta":null,"finish_reason":null}]}\r\n\r\n',
      'data: {"choices":[{"index":0,"delta":{"content":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":5}}\n\n',
      'data\n\ndata:\n\n',
      'data: [DONE]',
    ].join(''),
  )
  const reader = new ChunkReader('text')
  reader.push(stream)
  reader.end()
  assert.equal(reader.text(), 'AB')
  assert.equal(reader.finishReason, 'stop')
  assert.equal(reader.fault, undefined)
  assert.equal(reader.done, true)
  assert.deepEqual(reader.usage, { prompt: 5, cached: 0, completion: 0 })
  assert.deepEqual(reader.wire, { id: 'x', created: 1, model: 'm' })
})

test('an event without its blank line counts at the end if it is whole', () => {
  const reader = new ChunkReader('relay')
  assert.equal(reader.push(Buffer.from(`data: ${chunk('{"content":"x"}')}`)).frames, undefined)
  const { frames, visible } = reader.end()
  assert.equal(frames?.toString(), `data: ${chunk('{"content":"x"}')}\n\n`)
  assert.equal(visible, true)
  const half = new ChunkReader('text')
  half.push(Buffer.from('data: {"choices":[{"delta":{"content":"x'))
  assert.deepEqual(half.end(), { text: '', frames: undefined, visible: false })
  assert.equal(half.fault, undefined)
})

test('a frame may grow to 1 MiB and no further, however it arrives', () => {
  const limit = 1024 * 1024
  const around = content('').length
  for (const size of [limit, limit + 1]) {
    const stream = content('x'.repeat(size - around))
    assert.equal(stream.length, size)
    for (const step of [1000, size]) {
      const reader = new ChunkReader('text')
      reader.push(content('first'))
      for (let at = 0; at < size; at += step) reader.push(stream.subarray(at, at + step))
      assert.equal(reader.text().length, size === limit ? 5 + size - around : 5)
      assert.equal(reader.fault?.reason, size === limit ? undefined : 'garbage')
    }
  }
})

test('an answer may grow to 16 MiB and no further', () => {
  const piece = content('x'.repeat(1024 * 1024 - content('').length))
  const inPiece = piece.length - content('').length
  const reader = new ChunkReader('text')
  const fitting = Math.floor((16 * 1024 * 1024) / inPiece)
  for (let count = 0; count < fitting; count++) reader.push(piece)
  assert.equal(reader.fault, undefined)
  reader.push(content('x'.repeat(16 * 1024 * 1024 - fitting * inPiece)))
  assert.equal(reader.fault, undefined)
  reader.push(content('x'))
  assert.deepEqual(reader.fault, { reason: 'garbage', message: 'The answer is too long.' })
})

test('a large frame that comes byte by byte costs no more than its length', () => {
  const reader = new ChunkReader('text')
  const stream = Buffer.concat([Buffer.from(': a comment\n'.repeat(10_000)), content('done')])
  const started = process.cpuUsage()
  for (let at = 0; at < stream.length; at++) reader.push(stream.subarray(at, at + 1))
  assert.equal(reader.text(), 'done')
  assert.ok(process.cpuUsage(started).user < 2_000_000)
})

test('half a tool call is known as such until the finish', () => {
  const reader = new ChunkReader('relay')
  assert.equal(reader.halfToolCall, false)
  reader.push(frame(chunk('{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{}"}}]}')))
  assert.equal(reader.halfToolCall, true)
  reader.push(frame(chunk('{}', '"tool_calls"')))
  assert.equal(reader.halfToolCall, false)
  assert.deepEqual(reader.toolCalls(), [{ index: 0, id: 'c', name: 'f', arguments: '{}' }])
})

test('an encoded frame reads back', () => {
  const reader = new ChunkReader('text')
  const text = 'any "text"\n🙂\ud800'
  reader.push(encodeFrame(wire, { content: text }))
  reader.push(encodeFrame(wire, {}, 'length'))
  assert.equal(reader.text(), text)
  assert.deepEqual([reader.finishReason, reader.wire], ['length', wire])
})
