import fc from 'fast-check'
import type { Operation, Schema } from './document.ts'
import { faulty, fitting } from './values.ts'

/** What is sent; `{kind:n}` in the target stands for an id that exists by then. */
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
  ...[
    { 'x-parley-config': '__proto__' },
    { 'x-parley-config': 'v001' },
    { prefer: 'respond-async' },
    { authorization: 'Bearer x' },
  ],
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

export function requestOf(operation: Operation, resolve: (schema: Schema) => Schema): fc.Arbitrary<FuzzRequest> {
  const { path, body } = operation
  const segment = fc.oneof({ arbitrary: known(path), weight: 6 }, { arbitrary: hostileSegment, weight: 1 })
  const segments = fc.tuple(...path.split('/').map((part) => (part.startsWith('{') ? segment : fc.constant(part))))
  const query = fc.tuple(
    ...operation.parameters
      .filter((parameter) => parameter.in === 'query')
      .map(({ name, schema, required }) => {
        const value = fc.oneof(
          { arbitrary: fitting(schema, resolve), weight: 5 },
          { arbitrary: faulty(schema, resolve), weight: 1 },
        )
        return fc
          .option(value, { freq: required ? 20 : 2 })
          .map((drawn) => (drawn === null ? '' : `${name}=${encode(drawn)}`))
      }),
  )
  const json = (schema: Schema) =>
    fc.oneof(
      { arbitrary: fitting(schema, resolve).map((value) => JSON.stringify(value)), weight: 5 },
      { arbitrary: faulty(schema, resolve).map((value) => JSON.stringify(value)), weight: 5 },
      { arbitrary: hostileBody, weight: 1 },
    )
  const drawn = fc.record({
    segments,
    query,
    body: body
      ? json(body)
      : fc
          .option(hostileBody, { freq: 1, nil: undefined })
          .map((text) => (operation.method === 'GET' ? undefined : text)),
    header: fc.option(hostileHeader, { freq: 3, nil: {} as Record<string, string> }),
    caller: fc.nat({ max: 2 }),
    other: fc.option(method, { freq: 1, nil: undefined }),
    isOther: fc.integer({ min: 0, max: 19 }).map((die) => die === 0),
  })
  return drawn.map(({ segments, query, header, other, isOther, ...rest }) => {
    const asked = query
      .filter((part) => part !== '')
      .join('&')
      .slice(0, 6000)
    return {
      operation,
      caller: rest.caller,
      method: isOther && other ? other : operation.method,
      target: segments.join('/') + (asked ? `?${asked}` : ''),
      headers: { ...(rest.body !== undefined && { 'content-type': 'application/json' }), ...header },
      body: rest.body,
      isOfOperation: !(isOther && other) && segments.every((part) => part !== ''),
    }
  })
}

function known(path: string): fc.Arbitrary<string> {
  const kind = ['conversation', 'turn', 'run'].find((name) => path.includes(`/${name}s/{id}`))
  if (kind) return fc.nat({ max: 1000 }).map((at) => `{${kind}:${at}}`)
  return fc.constantFrom(
    'v001',
    'v002',
    'hermes',
    'primary',
    'create_ticket',
    'calculate',
    'tenant:nobody',
    'model:none',
    'v900',
  )
}

function encode(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return encodeURIComponent(text.toWellFormed())
}
