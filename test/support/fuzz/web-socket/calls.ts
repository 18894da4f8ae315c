import fc from 'fast-check'
import type { TSchema } from 'typebox'
import {
  ApproveParams,
  CancelParams,
  ChatParams,
  RejectParams,
  ResumeParams,
} from '../../../../src/transport/websocket/schema.ts'
import type { Schema } from '../document.ts'
import { mostly } from '../drawing.ts'
import { faulty, fitting, MARK, nth } from '../values.ts'

/** What has to be answered: under this id (as JSON), and, where nothing else can be, with this code. */
export interface Expected {
  id: string
  codes?: readonly number[]
  /** Whose result it would be. */
  method?: string
  /** What it was asked about. */
  ids?: readonly string[]
}

/** One message of JSON-RPC, or what is none. */
export interface Message {
  name: string
  text: string
  /** To be answered with one array of all answers. */
  isBatch: boolean
  answers: readonly Expected[]
}

interface Drawn {
  name: string
  text: string
  answer: Expected | undefined
}

const PARSE_ERROR = -32_700
const INVALID_REQUEST = -32_600
const NOT_FOUND = -32_601
/** As is documented at `limits.websocket` and in docs/websocket.md. */
const CALLS_PER_BATCH = 20

const own = (schema: Schema) => schema
/** What has a meaning, in place of what would be drawn from the schema alone. */
const sensible: Record<string, fc.Arbitrary<unknown>> = {
  message: fc.oneof(
    { arbitrary: fc.constantFrom(MARK, `Please open a ticket: ${MARK}`, 'What is 6 * 7?', 'hello'), weight: 6 },
    { arbitrary: fc.string({ unit: 'binary', maxLength: 200 }), weight: 2 },
    {
      arbitrary: fc.constantFrom('x'.repeat(131_072), 'x'.repeat(131_073), '', ' ', '\u0000', 'é'.repeat(70_000)),
      weight: 1,
    },
  ),
  conversation: nth('conversation'),
  turn: nth('turn', 'turn-running'),
  run: nth('run-awaiting-approval', 'run'),
  idempotencyKey: fc.constantFrom('one', 'two', 'three'),
  hash: fc.constant('~~HASH~~'),
  after: fc.constantFrom(-1, 0, 1, 2, 100, Number.MAX_SAFE_INTEGER),
  lastEventId: nth('turn').map((turn) => `${turn}.1`),
  edited: fc.constantFrom<unknown>({ title: MARK }, { priority: 'low' }, {}, { __proto__: 1 }),
}
const methods: Record<string, TSchema> = {
  chat: ChatParams,
  resume: ResumeParams,
  cancel: CancelParams,
  approve: ApproveParams,
  reject: RejectParams,
}

function params(schema: TSchema): fc.Arbitrary<unknown> {
  const { properties = {}, required = [] } = schema as Schema
  const parts = Object.entries(properties).map(([name, part]) => {
    const value = sensible[name] ?? fitting(part, own, name)
    return [name, mostly<unknown>(value, 12, null, 'none')]
  })
  return fc.record(Object.fromEntries(parts) as Record<string, fc.Arbitrary<unknown>>, { requiredKeys: [...required] })
}

/** As it stands in the text, and the id of the answer; undefined for none. */
const id: fc.Arbitrary<readonly [given: string | undefined, answered: string | undefined]> = fc.oneof(
  { arbitrary: fc.nat({ max: 20 }).map((at) => [`${at}`, `${at}`] as const), weight: 8 },
  { arbitrary: fc.constant([undefined, undefined] as const), weight: 2 },
  {
    arbitrary: fc
      .constantFrom(
        ...['null', '0', '-1', '-0', '1.5', '1e308', '9007199254740993', '123456789012345678901234567890', '""'],
        ...['"a"', `"${'i'.repeat(10_000)}"`, '"\\u0000"', '"\\ud800"', '"__proto__"', '"é👩‍👩‍👧‍👦"', '"</script>"'],
      )
      .map((text) => [text, JSON.stringify(JSON.parse(text))] as const),
    weight: 2,
  },
  { arbitrary: fc.constantFrom('true', '{}', '[]', '[1]', '1e999').map((text) => [text, 'null'] as const), weight: 1 },
)

const METHODS = ['ping', 'chat', 'chat', 'resume', 'cancel', 'approve', 'reject'] as const
const UNKNOWN = [
  'constructor',
  '__proto__',
  'toString',
  '',
  'rpc.discover',
  'turn.event',
  'm'.repeat(5000),
  'CHAT',
  'ping ',
]

const call: fc.Arbitrary<Drawn> = fc
  .tuple(
    id,
    fc.oneof(
      { arbitrary: fc.constantFrom(...METHODS), weight: 9 },
      { arbitrary: fc.constantFrom(...UNKNOWN), weight: 1 },
    ),
  )
  .chain(([[given, answered], method]) => {
    const schema = methods[method]
    const right = schema ? params(schema) : fc.constantFrom<unknown>(undefined, {})
    const wrong = schema ? faulty(schema as Schema, own) : fc.constantFrom<unknown>({ a: 1 }, [1], 'x', null)
    const drawn = fc.oneof({ arbitrary: right, weight: 6 }, { arbitrary: wrong, weight: 1 })
    const isUnknown = UNKNOWN.includes(method)
    return drawn.map((value): Drawn => {
      const written = value === undefined ? undefined : JSON.stringify(value)
      const fields = [
        '"jsonrpc":"2.0"',
        given === undefined ? [] : `"id":${given}`,
        `"method":${JSON.stringify(method)}`,
        written === undefined ? [] : `"params":${written}`,
      ].flat()
      // What is no call is answered also without an id.
      const isCall = given === undefined || !isNoId(given)
      const hasParams = value === undefined || (typeof value === 'object' && value !== null)
      const codes = !(isCall && hasParams) ? [INVALID_REQUEST] : isUnknown ? [NOT_FOUND] : undefined
      const owed = answered ?? (hasParams ? undefined : 'null')
      const answer = owed === undefined ? undefined : { id: owed, method, ...(codes && { codes }) }
      return { name: isUnknown ? 'unknown method' : method, text: `{${fields.join(',')}}`, answer }
    })
  })

/** What JSON-RPC takes for no call. */
const noCall: fc.Arbitrary<Drawn> = fc
  .constantFrom<[text: string, answered: string]>(
    ...['null', 'true', '1', '"ping"', '{}', '[]', '{"jsonrpc":"2.0"}', '{"method":"ping"}', '{"__proto__":{}}'].map(
      (text): [string, string] => [text, 'null'],
    ),
    ...[
      `{"jsonrpc":"1.0","id":3,"method":"ping"}`,
      `{"jsonrpc":2,"id":3,"method":"ping"}`,
      `{"id":3,"method":"ping"}`,
    ].map((text): [string, string] => [text, '3']),
    ...[
      '{"jsonrpc":"2.0","id":"x","method":1}',
      '{"jsonrpc":"2.0","id":"x","method":["ping"]}',
      '{"jsonrpc":"2.0","id":"x"}',
    ].map((text): [string, string] => [text, '"x"']),
    ['{"jsonrpc":"2.0","id":5,"method":"ping","params":"x"}', '5'],
    ['{"jsonrpc":"2.0","id":5,"method":"ping","params":null}', '5'],
    ['{"jsonrpc":"2.0","id":5,"result":"pong"}', '5'],
  )
  .map(([text, answered]) => ({ name: 'no call', text, answer: { id: answered, codes: [INVALID_REQUEST] } }))

const one: fc.Arbitrary<Drawn> = fc.oneof({ arbitrary: call, weight: 12 }, { arbitrary: noCall, weight: 1 })

const single: fc.Arbitrary<Message> = one
  // An array by itself is a batch.
  .filter(({ text }) => !text.startsWith('['))
  .map(({ name, text, answer }) => ({ name, text, isBatch: false, answers: answer ? [answer] : [] }))

const batch: fc.Arbitrary<Message> = fc.array(one, { minLength: 1, maxLength: 6 }).map(together)
const fullBatch = fc
  .nat({ max: 3 })
  .map((die) => together(Array.from({ length: CALLS_PER_BATCH }, (_, at) => pingOf(die === 0 ? undefined : `${at}`))))

function pingOf(given: string | undefined): Drawn {
  const text = `{"jsonrpc":"2.0",${given === undefined ? '' : `"id":${given},`}"method":"ping"}`
  return { name: 'ping', text, answer: given === undefined ? undefined : { id: given, method: 'ping' } }
}

function together(calls: readonly Drawn[]): Message {
  const text = `[${calls.map((each) => each.text).join(',')}]`
  return { name: 'batch', text, isBatch: true, answers: calls.flatMap(({ answer }) => answer ?? []) }
}

const refused: fc.Arbitrary<Message> = fc.oneof(
  fc
    .constantFrom('', '{', 'nul', '\u0000', '{"jsonrpc":"2.0"', '"\\u12"', `${'['.repeat(100_000)}`, '\ufeff{}', 'ping')
    .map((text) => failed('no JSON', text, PARSE_ERROR)),
  fc
    .constantFrom('[]', `[${Array.from({ length: CALLS_PER_BATCH + 1 }, () => pingOf('1').text).join(',')}]`)
    .map((text) => failed('no batch', text, INVALID_REQUEST)),
)

function failed(name: string, text: string, code: number): Message {
  return { name, text, isBatch: false, answers: [{ id: 'null', codes: [code] }] }
}

/** `~~kind.n~~` in it stands for what the caller has, or somebody else. */
export const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  { arbitrary: single, weight: 14 },
  { arbitrary: batch, weight: 3 },
  { arbitrary: fullBatch, weight: 1 },
  { arbitrary: refused, weight: 2 },
)

function isNoId(given: string): boolean {
  const value: unknown = JSON.parse(given)
  return !(typeof value === 'string' || value === null || Number.isFinite(value))
}
