import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { request } from 'node:http'
import { after, afterEach, before, test } from 'node:test'
import fc from 'fast-check'
import { errorCodes } from '#errors.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { chatConfig } from '../support/chat-config.ts'
import { nativeClient } from '../support/native-client.ts'

const offline = {
  provider: 'offline' as const,
  contextWindow: 32_000,
  continuation: 'restart' as const,
  price: { input: 0, output: 0 },
  pace: 100_000,
}

let app: TestApp
let client: ReturnType<typeof nativeClient>
let conversation: string
let turn: string

before(async () => {
  app = await startApp({ config: chatConfig({ only: offline }) })
  client = nativeClient(app.url)
  conversation = await client.conversation('plain')
  const { body } = await client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message: 'hello' })
  turn = body.id
})

after(() => app.stop())

afterEach(async () => {
  const { status, body } = await client.call('POST', `/api/v1/conversations/${conversation}/turns`, {
    message: 'still?',
  })
  assert.deepEqual([status, body.status], [200, 'completed'], 'the server goes on serving')
})

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: string
}

/** A request whose target and headers go out as they are given. */
function send(
  method: string,
  target: string,
  body?: string | Buffer,
  headers: Record<string, string | string[]> = {},
): Promise<Answer> {
  const { hostname, port } = new URL(app.url)
  return new Promise((resolve, reject) => {
    const json = body === undefined ? {} : { 'content-type': 'application/json' }
    const sent = request(
      { hostname, port, method, path: target, headers: { ...json, ...headers }, agent: false, timeout: 20_000 },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const { statusCode = 0, headers: received } = response
          resolve({ status: statusCode, headers: received, body: Buffer.concat(chunks).toString() })
        })
      },
    )
    sent.on('timeout', () => sent.destroy(new Error('no answer')))
    sent.on('error', reject)
    sent.end(body)
  })
}

/** An error of ours, in the one shape, for the caller to mend; its code and parameter. */
function refusal({ status, headers, body }: Answer, where: string): { code: string; param: string | null } {
  assert.ok(status >= 400 && status < 500, `${where}: ${status} ${body}`)
  const { error } = JSON.parse(body)
  assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'request_id', 'type'], where)
  assert.ok(
    errorCodes.some((code) => code === error.code),
    where,
  )
  assert.equal(error.request_id, headers['x-request-id'], where)
  return error
}

const turnsOf = () => `/api/v1/conversations/${conversation}/turns`

const badBodies: Record<string, string | Buffer> = {
  'nothing at all': '',
  'half a document': '{"message":',
  'two documents': '{"message":"a"}{"message":"b"}',
  'bytes that are not UTF-8': Buffer.from([...Buffer.from('{"message":"'), 0xff, 0xfe, ...Buffer.from('"}')]),
  'half a character at the end': Buffer.from('{"message":"🙂"}').subarray(0, 14),
  'an overlong encoding': Buffer.from([...Buffer.from('{"message":"'), 0xc0, 0xaf, ...Buffer.from('"}')]),
  'a surrogate in UTF-8': Buffer.from([...Buffer.from('{"message":"'), 0xed, 0xa0, 0x80, ...Buffer.from('"}')]),
  'a raw control character': '{"message":"a\u0000b"}',
  'a raw line break': '{"message":"a\nb"}',
  'UTF-16': Buffer.from('{"message":"hello"}', 'utf16le'),
  null: 'null',
  'a list': '[{"message":"hello"}]',
  text: '"hello"',
  'a number': '1e999',
  'depth without end': '['.repeat(200_000),
  'deep and well-formed': `${'{"message":'.repeat(5000)}1${'}'.repeat(5000)}`,
  'a key that reaches for a prototype': '{"message":"a","__proto__":{"admin":true}}',
  'a constructor with a prototype': '{"message":"a","constructor":{"prototype":{"admin":true}}}',
}

for (const [name, body] of Object.entries(badBodies)) {
  test(`a body that is none is refused: ${name}`, async () => {
    for (const [method, target] of [
      ['POST', '/api/v1/conversations'],
      ['PATCH', `/api/v1/conversations/${conversation}`],
      ['POST', turnsOf()],
      ['POST', `/api/v1/turns/${turn}/feedback`],
      ['POST', '/api/v1/models/only/circuit'],
    ] as const) {
      const { code } = refusal(await send(method, target, body), `${method} ${target}`)
      assert.ok(['bad_json', 'invalid_request'].includes(code), code)
    }
  })
}

const badMessages: Record<string, { message: unknown; code?: string }> = {
  empty: { message: '' },
  'blanks only': { message: ' \n\t\u3000' },
  'half of a character': { message: 'a\ud800b' },
  'the halves of a character, exchanged': { message: '\ude42\ud83d' },
  'a control character': { message: 'a\u0007b' },
  'the end of a C string': { message: 'a\u0000' },
  'a C1 control character': { message: 'a\u0085b' },
  'a byte too many': { message: 'x'.repeat(128 * 1024 + 1), code: 'message_too_large' },
  'a byte too many, in three-byte characters': { message: '世'.repeat(43_691), code: 'message_too_large' },
  missing: { message: undefined },
  null: { message: null },
  'a number': { message: 1 },
  'an object': { message: { text: 'hello' } },
  'a list of parts': { message: [{ type: 'text', text: 'hello' }] },
}

for (const [name, { message, code = 'invalid_request' }] of Object.entries(badMessages)) {
  test(`a message that no model should be sent is refused: ${name}`, async () => {
    const answer = await send('POST', turnsOf(), JSON.stringify({ message }))
    const fault = refusal(answer, name)
    assert.deepEqual([fault.code, fault.param], [code, 'message'])
    if (typeof message !== 'string' || !message.isWellFormed()) return
    const asked = await send(
      'GET',
      `/api/v1/specialists/plain/stream?message=${encodeURIComponent(message.slice(0, 3000))}`,
    )
    if (code === 'invalid_request') assert.equal(refusal(asked, name).param, 'message')
  })
}

test('text of any script is taken as it is, and given back so', async () => {
  for (const message of [
    '\ufeffmit BOM',
    'e\u0301 \u202eltr\u202c',
    '👩‍👩‍👧‍👦',
    '\u{10ffff}',
    'a\r\nb\tc',
    '</script><!--',
    '%s %n {{a}}',
  ]) {
    const { status, body } = await client.call('POST', turnsOf(), { message })
    assert.deepEqual([status, body.message], [200, message])
  }
})

test('a body above the limit is refused, whether it is announced or not', async () => {
  const body = JSON.stringify({ message: 'x'.repeat(2 * 1024 * 1024) })
  assert.equal(refusal(await send('POST', turnsOf(), body), 'announced').code, 'body_too_large')
  const chunked = await send('POST', turnsOf(), body, { 'transfer-encoding': 'chunked' })
  assert.equal(refusal(chunked, 'chunked').code, 'body_too_large')
})

const strangeIds = () => [
  'conv_unknown',
  `conv_${'0'.repeat(32)}`,
  `turn_${'0'.repeat(32)}`,
  conversation.toUpperCase(),
  `${conversation}:messages`,
  `${turn}:log`,
  conversation.replace('conv_', 'turn_'),
  'conversations',
  'data-key',
  'constructor',
  '__proto__',
  '0',
  '-1',
  'null',
  '%00',
  '%20',
  '%0a',
  '%ef%bf%bf',
  '%F0%9F%99%82',
  '%7bx%7d',
  '..%2f..%2fetc%2fpasswd',
  '%252e%252e',
  'x'.repeat(100),
  'x'.repeat(200),
  'x'.repeat(2000),
  `'%20OR%201=1--`,
]

test('what does not exist is not found, however strange its id', async () => {
  for (const id of strangeIds()) {
    for (const [method, target, body] of [
      ['GET', `/api/v1/conversations/${id}`],
      ['PATCH', `/api/v1/conversations/${id}`, '{"title":"mine"}'],
      ['DELETE', `/api/v1/conversations/${id}`],
      ['GET', `/api/v1/conversations/${id}/messages`],
      ['POST', `/api/v1/conversations/${id}/turns`, '{"message":"hello"}'],
      ['GET', `/api/v1/turns/${id}`],
      ['GET', `/api/v1/turns/${id}/stream`],
      ['POST', `/api/v1/turns/${id}/cancel`],
      ['POST', `/api/v1/turns/${id}/feedback`, '{"rating":"up"}'],
      ['GET', `/api/v1/specialists/${id}/stream?message=hello`],
      ['POST', `/api/v1/models/${id}/circuit`, '{"state":"open"}'],
    ] as const) {
      const where = `${method} ${target.slice(0, 80)}`
      assert.match(refusal(await send(method, target, body), where).code, /not_found$/, where)
    }
  }
  const { body } = await client.call('GET', `/api/v1/conversations/${conversation}`)
  assert.equal(body.title, 'hello')
})

test('paths that try to lead elsewhere lead nowhere', async () => {
  for (const target of [
    '/api/v1/conversations/../../../etc/passwd',
    '/api/v1/../v1/conversations',
    '//api/v1/conversations',
    '/api/v1//conversations',
    '/api/v1/conversations/',
    '/api/v1/CONVERSATIONS',
    '/api/v1/conversations;limit=1',
    '/api/v1/conversations%3flimit=1',
    '/api%2fv1%2fconversations',
    '/api/v1/conversations/%2e%2e',
    '/api/v1/turns/%c0%ae%c0%ae',
    '/.env',
    '/src/main.ts',
    '/api/v1/conversations%00.html',
    '/%',
    `/${'a/'.repeat(3000)}`,
  ]) {
    const { code } = refusal(await send('GET', target), target.slice(0, 80))
    assert.ok(['not_found', 'conversation_not_found', 'invalid_request'].includes(code), `${target}: ${code}`)
  }
})

test('parameters of a query that make no sense are named', async () => {
  const list = '/api/v1/conversations'
  const messages = `${list}/${conversation}/messages`
  const cases: [target: string, param: string][] = [
    [`${list}?limit=1.5`, 'limit'],
    [`${list}?limit=`, 'limit'],
    [`${list}?limit=-1`, 'limit'],
    [`${list}?limit=99999999999999999999`, 'limit'],
    [`${list}?limit=1&limit=2`, 'limit'],
    [`${list}?limit[]=1`, 'limit[]'],
    [`${list}?cursor=`, 'cursor'],
    [`${list}?cursor=${'A'.repeat(501)}`, 'cursor'],
    [`${list}?cursor=${encodeURIComponent(Buffer.from('1 conv_x').toString('base64url'))}`, 'cursor'],
    [`${list}?cursor=%F0%9F%99%82`, 'cursor'],
    [`${list}?__proto__=1`, '__proto__'],
    [`${messages}?after=NaN`, 'after'],
    [`${messages}?after=Infinity`, 'after'],
    [`${messages}?after=9007199254740993`, 'after'],
    [`${messages}?limit=501`, 'limit'],
  ]
  for (const [target, param] of cases) {
    const fault = refusal(await send('GET', target), target)
    assert.deepEqual([fault.code, fault.param], ['invalid_request', param], target)
  }
  for (const after of ['-2', '1.5', '1e3', 'x', '9007199254740993', `${turn}.`, `${turn}.-1`, `${conversation}.1`]) {
    const { code } = refusal(await send('GET', `/api/v1/turns/${turn}/stream?after=${after}`), after)
    assert.ok(['bad_position', 'invalid_request'].includes(code), `${after}: ${code}`)
  }
})

test('floods of headers are refused', async () => {
  const many = Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`x-${n}`, 'a']))
  assert.equal(refusal(await send('GET', '/api/v1/conversations', undefined, many), 'many').code, 'headers_too_large')
  const large = { 'x-large': 'a'.repeat(17_000) }
  assert.equal(refusal(await send('GET', '/api/v1/conversations', undefined, large), 'large').code, 'headers_too_large')
})

test('methods that no route has are refused with those that it has', async () => {
  const put = await send('PUT', '/api/v1/conversations', '{}')
  assert.equal(refusal(put, 'PUT').code, 'method_not_allowed')
  assert.deepEqual(String(put.headers.allow).split(', ').sort(), ['GET', 'HEAD', 'POST'])
  for (const method of ['PROPFIND', 'TRACE', 'QUERY']) {
    const { code } = refusal(await send(method, '/api/v1/conversations'), method)
    assert.ok(['method_not_allowed', 'unsupported_media_type'].includes(code), `${method}: ${code}`)
  }
})

test('whatever JSON a body holds, it is answered, and never with a fault of ours', async (t) => {
  const seed = randomInt(2 ** 31)
  t.diagnostic(`seed ${seed}`)
  const known = {
    message: fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.jsonValue()),
    specialist: fc.oneof(fc.constantFrom('plain', 'helper', 'nobody'), fc.jsonValue()),
    title: fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()),
    rating: fc.oneof(fc.constantFrom('up', 'down'), fc.jsonValue()),
    comment: fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()),
    state: fc.oneof(fc.constantFrom('closed', 'auto'), fc.jsonValue()),
  }
  const body = fc.oneof(
    fc.record(known, { requiredKeys: [] }).map((value) => JSON.stringify(value)),
    fc.json(),
    fc.string({ unit: 'binary' }),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  )
  const target = fc.constantFrom(
    ['POST', '/api/v1/conversations'],
    ['PATCH', `/api/v1/conversations/${conversation}`],
    ['POST', turnsOf()],
    ['POST', `/api/v1/turns/${turn}/feedback`],
    ['POST', '/api/v1/models/only/circuit'],
  )
  await fc.assert(
    fc.asyncProperty(target, body, async ([method = '', path = ''], given) => {
      const answer = await send(method, path, given)
      if (answer.status >= 300) refusal(answer, `${method} ${path}`)
    }),
    { seed, numRuns: 200 },
  )
})
