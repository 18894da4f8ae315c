import fc from 'fast-check'
import type { Operation, Schema } from './document.ts'
import { faulty, fitting, nth } from './values.ts'

/** What is sent; for `~~kind.n~~` in it see `Known`. */
export interface FuzzRequest {
  operation: Operation
  caller: number
  method: string
  target: string
  headers: Record<string, string>
  body: string | undefined
  /** Method and address are those of the operation: its documented statuses hold. */
  isOfOperation: boolean
}

const hostileSegment = fc.constantFrom(
  ...[
    '%2e%2e%2f%2e%2e',
    'a%2Fb',
    '%00',
    '%ff',
    '%',
    '%zz',
    '__proto__',
    'constructor',
    'x'.repeat(201),
    'x'.repeat(9000),
  ],
  ...[
    'conv_00000000000000000000000000',
    '..;',
    '%F0%9F%92%A9',
    "'%20or%201=1--",
    '',
    '*',
    'all:',
    'tenant:',
    'user:x:y',
  ],
)
const hostileHeader = fc.constantFrom<Record<string, string>>(
  ...[{ accept: 'image/png' }, { accept: ',;q=x' }, { accept: 'text/event-stream' }, { 'content-type': 'text/plain' }],
  ...[{ 'content-type': 'application/json; charset=utf-16' }, { 'content-type': ';' }, { 'if-match': '"\u00ff' }],
  ...[
    { 'last-event-id': 'turn_x:99999999999999999999' },
    { 'last-event-id': '-1' },
    { 'idempotency-key': 'k'.repeat(5000) },
  ],
  ...[{ 'x-parley-config': '__proto__' }, { authorization: 'Bearer x' }],
  ...[
    { traceparent: '00-zz' },
    { origin: 'https://evil.example' },
    { 'x-request-id': 'é'.repeat(300) },
    { cookie: '=;=' },
  ],
  ...[{ 'idempotency-key': 'same' }, { 'content-encoding': 'gzip' }, { 'if-match': '*' }, { 'if-match': '"1"' }],
)
const hostileBody = fc.constantFrom(
  '',
  '{',
  'null',
  '[]',
  '"\\ud800"',
  '{"__proto__":{"admin":true}}',
  '{"a":1,"a":2}',
  '\u0000',
  '1e999',
)
const method = fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE')

/** What a header that is documented may say to some effect. */
const saying: Record<string, fc.Arbitrary<string>> = {
  'if-match': fc.oneof({ arbitrary: fc.constant('~~etag~~'), weight: 8 }, fc.constantFrom('*', '"1"', '"e1"')),
  'if-none-match': fc.constantFrom('*', '~~etag~~'),
  'idempotency-key': fc.constantFrom('one', 'two', 'three'),
  'x-parley-config': nth('version'),
  'last-event-id': fc.oneof(
    nth('turn').map((turn) => `${turn}.0`),
    fc.constantFrom('1', '0', ''),
  ),
  prefer: fc.constantFrom('respond-async', 'wait=0', 'wait=1', 'respond-async, wait=2'),
}

export interface Drawing {
  resolve(schema: Schema): Schema
  /** Config versions to push. */
  documents: readonly { type: string; text: string }[]
}

export function requestOf(operation: Operation, { resolve, documents }: Drawing): fc.Arbitrary<FuzzRequest> {
  const { id, path, body, parameters } = operation
  const segments = fc.tuple(
    ...path.split('/').map((part) => {
      if (!part.startsWith('{')) return fc.constant(part)
      return fc.oneof({ arbitrary: known(id, path), weight: 12 }, { arbitrary: hostileSegment, weight: 1 })
    }),
  )
  const query = fc.tuple(
    ...parameters
      .filter((parameter) => parameter.in === 'query')
      .map(({ name, schema, required }) => {
        const value = fc.oneof(
          { arbitrary: fitting(schema, resolve, name), weight: 7 },
          { arbitrary: faulty(schema, resolve), weight: 1 },
        )
        return fc
          .option(value, { freq: required ? 20 : 2 })
          .map((drawn) => (drawn === null ? '' : `${name}=${encode(drawn)}`))
      }),
  )
  const said = fc.tuple(
    ...parameters
      .filter((parameter) => parameter.in === 'header')
      .map(({ name }) => {
        const value = saying[name] ?? fc.string({ maxLength: 20, unit: 'grapheme-ascii' })
        return fc
          .option(value, { freq: name === 'if-match' ? 12 : 1, nil: undefined })
          .map((drawn): Record<string, string> => (drawn === undefined ? {} : { [name]: drawn }))
      }),
  )
  const stream = path.endsWith('/stream') || operation.streams
  const accept: fc.Arbitrary<Record<string, string>> = stream
    ? fc.constantFrom<Record<string, string>>({ accept: 'text/event-stream' }, {})
    : fc.constant({})
  const drawn = fc.record({
    segments,
    query,
    said,
    accept,
    body: bodyOf(operation, resolve, documents),
    header: fc.option(hostileHeader, { freq: 1, nil: {} as Record<string, string> }),
    isHostile: fc.nat({ max: 3 }).map((die) => die === 0),
    caller: fc.nat({ max: 9 }),
    other: method,
    isOther: fc.nat({ max: 29 }).map((die) => die === 0),
  })
  return drawn.map(({ segments, query, said, accept, header, isHostile, other, isOther, body, caller }) => {
    const asked = query
      .filter((part) => part !== '')
      .join('&')
      .slice(0, 6000)
    return {
      operation,
      caller,
      method: isOther ? other : operation.method,
      target: segments.join('/') + (asked ? `?${asked}` : ''),
      headers: Object.assign({}, body && { 'content-type': body.type }, ...said, accept, isHostile && header),
      body: body?.text,
      isOfOperation: (!isOther || other === operation.method) && segments.slice(1).every((part) => part !== ''),
    }
  })

  function bodyOf(
    { method, accepts }: Operation,
    resolve: Drawing['resolve'],
    documents: Drawing['documents'],
  ): fc.Arbitrary<{ type: string; text: string } | undefined> {
    const json = (text: fc.Arbitrary<string>) => text.map((text) => ({ type: 'application/json', text }))
    if (!body)
      return method === 'GET' ? fc.constant(undefined) : fc.option(json(hostileBody), { freq: 1, nil: undefined })
    const written = (value: fc.Arbitrary<unknown>) => json(value.map((drawn) => JSON.stringify(drawn)))
    const fits = accepts.includes('application/yaml') ? fc.constantFrom(...documents) : written(fitting(body, resolve))
    return fc.oneof(
      { arbitrary: fits, weight: 14 },
      { arbitrary: written(faulty(body, resolve)), weight: 5 },
      { arbitrary: json(hostileBody), weight: 1 },
    )
  }
}

/** By the operation, ids in the state that it needs. */
const wanted: Record<string, readonly string[]> = {
  cancelTurn: ['turn-running', 'turn'],
  approveRun: ['run-awaiting-approval'],
  rejectRun: ['run-awaiting-approval'],
  cancelRun: ['run-awaiting-approval', 'run'],
  replayRun: ['run-dead-lettered', 'run-unknown'],
  discardRun: ['run-dead-lettered', 'run-unknown'],
  settleRun: ['run-unknown'],
  undoRun: ['run-succeeded'],
}

function known(id: string, path: string): fc.Arbitrary<string> {
  const kind = ['conversation', 'turn', 'run'].find((name) => path.includes(`/${name}s/{id}`))
  if (kind) return nth(...(wanted[id] ?? [kind]))
  if (path.includes('/specialists/')) return fc.constantFrom('hermes', 'athena', 'sisyphus', 'nobody')
  if (path.includes('/models/')) return fc.constantFrom('primary', 'backup', 'slow', 'hermes', 'default')
  if (path.includes('/actions/')) {
    return fc.constantFrom(
      'create_ticket',
      'calculate',
      'current_time',
      'fail',
      'doubt',
      'page_on_call',
      'close_ticket',
    )
  }
  if (path.includes('/kill-switches/')) {
    return fc.constantFrom(
      'tenant:~~any-tenant~~',
      'specialist:athena',
      'model:backup',
      'action:calculate',
      'all',
      'tenant:x',
    )
  }
  if (path.includes('/budgets/')) {
    return fc.constantFrom('tenant:~~tenant~~', 'user:~~tenant~~:ana', 'group:~~tenant~~:g', 'tenant:~~any-tenant~~')
  }
  if (path.includes('/config/versions/')) {
    const pushed = fc.nat({ max: 400 }).map((at) => `f${at}`)
    return id === 'pushConfigVersion'
      ? pushed
      : fc.oneof(nth('version'), fc.constantFrom('v001', 'v002', 'v003', 'v900'))
  }
  return nth(...(/\/(\w+)s\/\{id\}/.exec(path)?.slice(1) ?? ['thing']))
}

function encode(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return encodeURIComponent(text.toWellFormed())
}
