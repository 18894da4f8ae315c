import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { ChunkReader } from './chunk-reader.ts'
import { ToolCallAssembly } from './tool-call-assembly.ts'

const HEAD =
  '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":17,"model":"gpt-β","choices":[{"index":0,"delta":'

type Reader = Pick<ChunkReader, 'finishReason' | 'usage' | 'wire' | 'fault' | 'done'>

/** All that a reader makes of a stream. */
interface Outcome extends Reader {
  text: string
  calls: unknown
  frames: string
  visible: boolean
  halfToolCall: boolean
}

/** An event whose shape is taken on trust: the streams of this test are made to fit. */
interface Loose {
  id?: string
  created: number
  model: string
  error?: { message: string }
  usage?: { prompt_tokens: number; completion_tokens: number; prompt_tokens_details?: { cached_tokens: number } }
  choices?: { index?: number; delta?: LooseDelta | null; finish_reason?: string | null }[]
}

interface LooseDelta {
  content?: string | null
  refusal?: string | null
  reasoning_content?: string
  tool_calls?: Record<string, unknown>[]
}

/** The plain parser: the whole stream at once, every event parsed, nothing remembered from one to the next. */
function parseWhole(stream: Buffer): Outcome {
  const outcome: Outcome = {
    text: '',
    calls: [],
    frames: '',
    visible: false,
    finishReason: undefined,
    usage: undefined,
    wire: undefined,
    fault: undefined,
    done: false,
    halfToolCall: false,
  }
  const calls = new ToolCallAssembly()
  const bytes = stream.toString('latin1').replace(/^\xef\xbb\xbf/, '')
  const frames = bytes.match(/(?:[^\n]+\n)*?\r?\n|[\s\S]+$/g) ?? []
  for (const frame of frames) {
    const isWhole = /(?:^|\n)\r?\n$/.test(frame)
    const lines = Buffer.from(frame, 'latin1')
      .toString()
      .split(/\r?\n/)
      .filter((line) => line.startsWith('data:'))
    const data = lines
      .map((line) => line.slice(5).replace(/^ /, ''))
      .join('\n')
      .trim()
    if (data === '') continue
    outcome.done = data === '[DONE]'
    if (outcome.done) break
    const event = looseEvent(data)
    if (!event) {
      if (isWhole) outcome.fault = { reason: 'garbage', message: 'A frame is not a JSON object.' }
      break
    }
    if (event.error) {
      outcome.fault = { reason: 'server_error', message: event.error.message }
      break
    }
    if (event.id) outcome.wire ??= { id: event.id, created: event.created, model: event.model }
    if (event.usage) {
      const { prompt_tokens, completion_tokens, prompt_tokens_details } = event.usage
      outcome.usage = {
        prompt: prompt_tokens,
        completion: completion_tokens,
        cached: prompt_tokens_details?.cached_tokens ?? 0,
      }
    }
    if (!event.usage || event.choices?.length) outcome.frames += isWhole ? frame : `${frame.trimEnd()}\n\n`
    const choice = event.choices?.find((each) => (each.index ?? 0) === 0)
    const delta: LooseDelta = choice?.delta ?? {}
    const shown = (delta.content ?? '') + (delta.refusal ?? '')
    outcome.text += shown
    for (const call of delta.tool_calls ?? []) calls.add(call)
    if (shown || delta.tool_calls?.length || delta.reasoning_content) outcome.visible = true
    outcome.finishReason = choice?.finish_reason ?? outcome.finishReason
  }
  outcome.calls = calls.calls()
  outcome.halfToolCall = calls.size > 0 && outcome.finishReason === undefined
  return outcome
}

function looseEvent(data: string): Loose | undefined {
  try {
    const event = JSON.parse(data)
    return typeof event === 'object' && event !== null && !Array.isArray(event) ? event : undefined
  } catch {
    return undefined
  }
}

function readCut(stream: Buffer, cuts: readonly number[], mode: 'text' | 'relay'): Outcome & { joined: string } {
  const reader = new ChunkReader(mode)
  const ends = [...new Set(cuts)].filter((cut) => cut > 0 && cut < stream.length).toSorted((a, b) => a - b)
  const pieces = [...ends, stream.length].map((end, index) =>
    reader.push(Buffer.from(stream.subarray(ends[index - 1] ?? 0, end))),
  )
  pieces.push(reader.end())
  const { finishReason, usage, wire, fault, done, halfToolCall } = reader
  return {
    text: reader.text(),
    joined: pieces.map(({ text }) => text).join(''),
    frames: Buffer.concat(pieces.map(({ frames }) => frames ?? Buffer.alloc(0))).toString('latin1'),
    visible: pieces.some(({ visible }) => visible),
    calls: reader.toolCalls(),
    finishReason,
    usage,
    wire,
    fault,
    done,
    halfToolCall,
  }
}

function assertSame(stream: Buffer, cuts: readonly number[]): void {
  const { frames, ...expected } = parseWhole(stream)
  const { joined, ...text } = readCut(stream, cuts, 'text')
  assert.deepEqual(text, { ...expected, frames: '' })
  assert.equal(joined, expected.text)
  const { joined: nothing, ...relay } = readCut(stream, cuts, 'relay')
  assert.deepEqual(relay, { ...expected, frames })
  assert.equal(nothing, '')
}

const chunk = (delta: string, finish = 'null', more = '') =>
  `${HEAD}${delta},"logprobs":null,"finish_reason":${finish}}]${more}}`
const frame = (event: string) => Buffer.from(`data: ${event}\n\n`)
const content = (text: string, more = '') => frame(chunk(`{"content":${JSON.stringify(text)}}`, 'null', more))
const USAGE = '"usage":{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4}}'

const tricky = fc.constantFrom(
  '"},"logprobs":null,"finish_reason":null}]}\n\n',
  '\\',
  '"',
  '\n\n',
  'data: [DONE]',
  '"content":"',
  '\\u00e9',
  '\ud83d',
  '\ude00',
  '🙂',
  'é',
  '\u2028',
  '\r\n',
  '\0',
  '","obfuscation":"',
  'parley probe',
)
const texts = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ unit: 'binary', maxLength: 6 }), tricky)
const asciiOnly = (json: string) =>
  json.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
const literals = fc
  .tuple(texts, fc.boolean())
  .map(([text, ascii]) => (ascii ? asciiOnly(JSON.stringify(text)) : JSON.stringify(text)))
const mores = fc.oneof(
  fc.constantFrom('', '', '', ',"usage":null', `,${USAGE}`, ',"extra":{"content":"x"}'),
  literals.map((literal) => `,"obfuscation":${literal}`),
)
const deltas = fc.oneof(
  { weight: 12, arbitrary: literals.map((literal) => `{"content":${literal}}`) },
  { weight: 2, arbitrary: literals.map((literal) => `{"role":"assistant","content":${literal},"refusal":null}`) },
  literals.map((literal) => `{"content":${literal},"refusal":${literal}}`),
  literals.map((literal) => `{"reasoning_content":${literal},"content":""}`),
  literals.map(
    (literal) =>
      `{"content" : ${literal} , "tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":${literal}}}]}`,
  ),
  literals.map((literal) => `{"tool_calls":[{"index":0,"function":{"arguments":${literal}}}]}`),
  fc.constantFrom('{}', 'null', '{"content":null}', '{"tool_calls":[{"index":0,"id":"a","function":{"name":"f"}}]}'),
)
const finishes = fc.constantFrom('null', 'null', 'null', 'null', 'null', '"stop"')
const shapes = fc.constantFrom(
  (event: string) => `data: ${event}\n\n`,
  (event: string) => `data: ${event}\n\n`,
  (event: string) => `data:${event}\r\n\r\n`,
  (event: string) => `event: x\ndata: ${event}\n: note\n\n`,
  (event: string) => `data: ${event.replace(',"choices"', '\ndata: ,"choices"')}\r\n\n`,
)
const chunks = fc
  .tuple(deltas, finishes, mores, shapes)
  .map(([delta, finish, more, shape]) => shape(chunk(delta, finish, more)))
/** Runs of frames of one form, as real streams have them. */
const runs = fc
  .tuple(fc.array(literals, { minLength: 1, maxLength: 8 }), mores, shapes)
  .map(([list, more, shape]) => list.map((literal) => shape(chunk(`{"content":${literal}}`, 'null', more))).join(''))
/** Runs where a key stands twice or in a decoy; either of the two strings changes from frame to frame. */
const decoys = fc
  .tuple(
    fc.array(literals, { minLength: 3, maxLength: 5 }),
    literals,
    fc.constantFrom(
      (changing: string, fixed: string) => chunk(`{"content":${changing},"content":${fixed}}`),
      (changing: string, fixed: string) => chunk(`{"content":${fixed},"content":${changing}}`),
      (changing: string, fixed: string) => chunk(`{"x":{"content":${changing}},"content":${fixed}}`),
      (changing: string, fixed: string) => chunk(`{"x":{"content":${changing}},"\\u0063ontent":${fixed}}`),
      (changing: string, fixed: string) => chunk(`{"x":{"content":${fixed}},"content":${changing}}`),
      (changing: string, fixed: string) =>
        chunk(`{"content":${fixed}}`, 'null', `,"choices":[{"delta":{"content":${changing}}}]`),
      (changing: string, fixed: string) => chunk(`{"content":${fixed},"x":{"obfuscation":${changing}}}`),
    ),
  )
  .map(([list, fixed, form]) => list.map((literal) => `data: ${form(literal, fixed)}\n\n`).join(''))
/** Bytes where the content should be, which may break out of it or be no UTF-8, after frames of the same form. */
const bodies = fc.oneof(
  fc.uint8Array({ maxLength: 6 }),
  fc.uint8Array({ min: 0x7f, maxLength: 3 }),
  fc.constantFrom('\\x41', '\\u12', '\\u00g1', '\\u', '\\', '\t', 'a"b').map((body) => Buffer.from(body)),
)
const broken = fc.array(bodies, { minLength: 1, maxLength: 3 }).map((list) => {
  const [before = '', after = ''] = chunk('{"content":"@"}').split('@')
  const framed = list.map((body) => Buffer.concat([Buffer.from(`data: ${before}`), body, Buffer.from(`${after}\n\n`)]))
  return Buffer.concat([content('x'), content('y'), ...framed])
})
const others = fc.constantFrom(
  ': ping\n\n',
  '\n',
  '\r\n',
  'event: ping\n\n',
  `data: {"choices":[],${USAGE}}\n\n`,
  'data: {"choices":[]}\n\n',
  'data: {}\n\n',
  'data: {"id":"late","created":2,"model":"n","choices":[{"index":1,"delta":{"content":"no"}}]}\n\n',
)
const endings = fc.constantFrom(
  'data: [DONE]\n\n',
  'data: [DONE]',
  'data: [DONE]\n',
  `data: ${chunk('{"content":"line"}')}\n`,
  '',
  'data: {"error":{"message":"gone"}}\n\n',
  'data: {"choices":[{"ind\n\n',
  'data: {"choices":[{"delta":{"content":"hal',
  `data: ${chunk('{"content":"whole"}')}`,
)
const streams = fc
  .tuple(
    fc.constantFrom('', '\ufeff'),
    fc.array(fc.oneof({ weight: 3, arbitrary: runs }, { weight: 3, arbitrary: chunks }, decoys, broken, others), {
      maxLength: 10,
    }),
    endings,
  )
  .map(([mark, parts, ending]) =>
    Buffer.concat([mark, ...parts, ending].map((part) => (typeof part === 'string' ? Buffer.from(part) : part))),
  )

test('reads like the plain parser, however the bytes are cut', (t) => {
  const seed = randomInt(2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const cuts = fc.array(fc.nat({ max: 4000 }), { maxLength: 30 })
  fc.assert(fc.property(streams, cuts, assertSame), { seed, numRuns: 2000 })
})

test('reads like the plain parser when every byte comes alone, or each pair of bytes is parted', (t) => {
  const seed = randomInt(2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const everyByte = (stream: Buffer) =>
    assertSame(
      stream,
      Array.from({ length: stream.length }, (_, at) => at),
    )
  fc.assert(fc.property(streams, everyByte), { seed, numRuns: 150 })
  const stream = Buffer.concat([
    Buffer.from('\ufeff'),
    content('one '),
    content('zwei é🙂'),
    content('"drei"\n'),
    frame(chunk('{"content":"4"}', '"stop"')),
    Buffer.from(`data: {"choices":[],${USAGE}}\r\n\r\ndata: [DONE]\n\n`),
  ])
  for (let cut = 1; cut < stream.length; cut++) assertSame(stream, [cut])
})
