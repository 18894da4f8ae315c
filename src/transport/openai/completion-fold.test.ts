import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CompletionFold } from './completion-fold.ts'

const wire = { id: 'chatcmpl-1', created: 7, model: 'wire' }

type Json = Record<string, unknown>

function fold(chunks: readonly object[]) {
  const fold = new CompletionFold()
  fold.add(Buffer.from(chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('')))
  return fold.completion(wire, 'stop') as Json & { choices: (Json & { message: Json })[] }
}

const chunk = (delta: object, more: object = {}) => ({ id: 'a', choices: [{ index: 0, delta, ...more }] })
const messageOf = (...deltas: object[]) => fold(deltas.map((delta) => chunk(delta))).choices[0]?.message
const callsOf = (...deltas: object[]) => messageOf(...deltas.map((call) => ({ tool_calls: [call] })))?.tool_calls

test('text that comes in pieces is joined', () => {
  const message = messageOf(
    { role: 'assistant', content: '' },
    { content: 'Hel', reasoning_content: 'think' },
    { content: 'lo 🙂', reasoning_content: 'ing', reasoning: 'a' },
    { content: null, reasoning: 'b' },
  )
  assert.deepEqual(message, {
    role: 'assistant',
    content: 'Hello 🙂',
    refusal: null,
    reasoning_content: 'thinking',
    reasoning: 'ab',
  })
})

test('frames may have any line ends, lines of data, comments, and come in any portions', () => {
  const whole = new CompletionFold()
  whole.add(
    Buffer.from(
      ': hello\r\n\r\ndata: {"choices":[{"delta":\r\ndata: {"content":"a"}}]}\r\n\r\ndata:{"choices":[{"delta":{"content":"b"}}]}\n\n',
    ),
  )
  whole.add(Buffer.from('event: x\ndata: {"choices":[{"delta":{"content":"c"}}]}\n\n'))
  assert.equal((whole.completion(wire, 'stop').choices as { message: Json }[])[0]?.message.content, 'abc')
})

test('of all that is not text the last word stands, and null says nothing', () => {
  const completion = fold([
    { id: 'a', choices: [], prompt_filter_results: [1] },
    {
      ...chunk({ content: 'x', audio: { id: 1 } }, { content_filter_results: { hate: 1 } }),
      system_fingerprint: 'f1',
      obfuscation: 'zzz',
    },
    {
      ...chunk({ audio: { id: 2 } }, { content_filter_results: { hate: 2 }, finish_reason: 'length' }),
      system_fingerprint: 'f2',
      usage: null,
    },
    chunk({}, { finish_reason: null }),
  ])
  assert.deepEqual(completion, {
    prompt_filter_results: [1],
    system_fingerprint: 'f2',
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 7,
    model: 'wire',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'x', refusal: null, audio: { id: 2 } },
        content_filter_results: { hate: 2 },
        logprobs: null,
        finish_reason: 'length',
      },
    ],
  })
})

test('where the provider named no reason, the answer has one', () => {
  assert.equal(fold([chunk({ content: 'x' })]).choices[0]?.finish_reason, 'stop')
})

test('a message that is a refusal, or calls only, has no content; an empty one has an empty text', () => {
  assert.deepEqual(messageOf({ content: '', refusal: 'I can' }, { refusal: 'not.' }), {
    role: 'assistant',
    content: null,
    refusal: 'I cannot.',
  })
  assert.equal(messageOf({ content: '' }, { tool_calls: [{ index: 0, id: 'a' }] })?.content, null)
  assert.equal(messageOf({ role: 'assistant' })?.content, '')
})

test('logprobs are joined', () => {
  const { choices } = fold([
    chunk({ content: 'a' }, { logprobs: { content: [{ token: 'a' }], refusal: null } }),
    chunk({ content: 'b' }, { logprobs: null }),
    chunk({ content: 'c' }, { logprobs: { content: [{ token: 'b' }, { token: 'c' }], refusal: [{ token: 'r' }] } }),
  ])
  assert.deepEqual(choices[0]?.logprobs, {
    content: [{ token: 'a' }, { token: 'b' }, { token: 'c' }],
    refusal: [{ token: 'r' }],
  })
})

test('tool calls are put together by index, interleaved or out of order', () => {
  const calls = callsOf(
    { index: 1, id: 'b', type: 'function', function: { name: 'g', arguments: '' } },
    { index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '{"x"' } },
    { index: 1, function: { arguments: '[1,' } },
    { index: 0, id: '', function: { name: '', arguments: ':1}' } },
    { index: 1, id: null, function: { arguments: '2]' } },
  )
  assert.deepEqual(calls, [
    { id: 'a', type: 'function', function: { name: 'f', arguments: '{"x":1}' } },
    { id: 'b', type: 'function', function: { name: 'g', arguments: '[1,2]' } },
  ])
})

test('tool calls keep what only their provider knows, and get what it forgot', () => {
  assert.deepEqual(
    callsOf(
      {
        index: 0,
        id: 'a',
        type: 'custom',
        custom: { name: 'sql', input: 'SELECT ' },
        extra_content: { google: { signature: 's' } },
      },
      { index: 0, custom: { input: '1' } },
      { index: 1, function: { name: 'f', arguments: '{}' } },
    ),
    [
      {
        id: 'a',
        type: 'custom',
        custom: { name: 'sql', input: 'SELECT 1' },
        extra_content: { google: { signature: 's' } },
      },
      { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } },
    ],
  )
})

test('calls without indices, or with one index for two ids, stay apart', () => {
  const named = (id: string, index?: number) => ({
    ...(index !== undefined && { index }),
    id,
    function: { name: id, arguments: '' },
  })
  for (const index of [undefined, 0]) {
    const piece = index === undefined ? {} : { index }
    const calls = callsOf(
      named('a', index),
      { ...piece, function: { arguments: '1' } },
      named('b', index),
      { ...piece, function: { arguments: '2' } },
      { ...piece, id: 'a', function: { arguments: '3' } },
    ) as { id: string; function: { arguments: string } }[]
    assert.deepEqual(
      calls.map((call) => [call.id, call.function.arguments]),
      [
        ['a', '13'],
        ['b', '2'],
      ],
    )
  }
})

test('what is not of the expected type is left alone', () => {
  const completion = fold([
    { choices: 'none' },
    { choices: [{ index: 1, delta: { content: 'of another choice' } }] },
    { choices: [{ delta: 'text' }] },
    chunk({ content: 5, tool_calls: ['x', null] }, { logprobs: 'high' }),
    chunk({ content: 'ok', tool_calls: {} }),
  ])
  assert.equal(completion.choices[0]?.message.content, 'ok')
  assert.equal(completion.choices[0]?.message.tool_calls, undefined)
})

test('however a text is cut into deltas and portions, it comes together', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 20 }), fc.boolean(), (pieces, oneByOne) => {
      const frames = pieces.map((content) => Buffer.from(`data: ${JSON.stringify(chunk({ content }))}\n\n`))
      const folded = new CompletionFold()
      for (const portion of oneByOne ? frames : [Buffer.concat(frames)]) folded.add(portion)
      const [choice] = folded.completion(wire, 'stop').choices as { message: Json }[]
      assert.equal(choice?.message.content, pieces.join(''))
    }),
    { numRuns: 200 },
  )
})
