import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startTransport } from '../../test/support/transport-server.ts'

/** Shapes that servers and proxies before them have been known to read differently, or to be brought down by. */

const HOST = 'host: a\r\n'
const JSON_TYPE = 'content-type: application/json\r\n'
const CHUNKED = 'transfer-encoding: chunked\r\n'

async function answerTo(
  text: string,
): Promise<{ status: number; code: string | undefined; answers: number; rest: string }> {
  await using transport = await startTransport((server) => {
    server.post('/echo', async (request) => ({ body: request.body ?? null }))
    server.get('/echo', async () => ({}))
  })
  const client = transport.raw().send(text)
  const received = await client.untilClosed()
  const statuses = [...received.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status))
  return {
    status: statuses[0] ?? 0,
    code: /"code":"(\w+)"/.exec(received)?.[1],
    answers: statuses.length,
    rest: received,
  }
}

const post = (head: string, body: string) => `POST /echo HTTP/1.1\r\n${HOST}${JSON_TYPE}${head}\r\n${body}`
const get = (head: string) => `GET /echo HTTP/1.1\r\n${HOST}${head}connection: close\r\n\r\n`
const SMUGGLED = `GET /echo HTTP/1.1\r\n${HOST}\r\n`

for (const [what, request] of [
  ['a length and chunks', post(`content-length: 6\r\n${CHUNKED}`, `0\r\n\r\n${SMUGGLED}`)],
  ['chunks and a length', post(`${CHUNKED}content-length: 6\r\n`, `0\r\n\r\n${SMUGGLED}`)],
  ['two lengths', post('content-length: 2\r\ncontent-length: 40\r\n', `{}${SMUGGLED}`)],
  ['the same length twice', post('content-length: 2\r\ncontent-length: 2\r\n', `{}${SMUGGLED}`)],
  ['a list of lengths', post('content-length: 2, 2\r\n', `{}${SMUGGLED}`)],
  ['a length with a sign', post('content-length: +2\r\n', `{}${SMUGGLED}`)],
  ['a length in hexadecimal', post('content-length: 0x2\r\n', `{}${SMUGGLED}`)],
  ['chunks that are not last', post('transfer-encoding: chunked, identity\r\n', `0\r\n\r\n${SMUGGLED}`)],
  ['an encoding that nobody knows', post('transfer-encoding: xchunked\r\n', `0\r\n\r\n${SMUGGLED}`)],
  ['a name with a space behind it', post('transfer-encoding : chunked\r\n', `0\r\n\r\n${SMUGGLED}`)],
  ['a chunk of a size beyond all', post(CHUNKED, `ffffffffffffffffff\r\n${SMUGGLED}`)],
  ['a chunk of a negative size', post(CHUNKED, `-1\r\n${SMUGGLED}`)],
  ['a chunk that is longer than it says', post(CHUNKED, `2\r\n{}XX\r\n0\r\n\r\n${SMUGGLED}`)],
  ['a header on two lines', `GET /echo HTTP/1.1\r\n${HOST}x-a: b\r\n c\r\n\r\n`],
  ['lines without CR', 'GET /echo HTTP/1.1\nhost: a\n\n'],
  ['a CR alone', `GET /echo HTTP/1.1\r\n${HOST}x-a: b\rx-c: d\r\n\r\n`],
  ['a NUL in a header', `GET /echo HTTP/1.1\r\n${HOST}x-a: b\0c\r\n\r\n`],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a version that there is not', `GET /echo HTTP/1.2\r\n${HOST}\r\n`],
] as const) {
  test(`${what}: refused, once, and the connection closed`, async () => {
    const { status, code, answers } = await answerTo(request)
    assert.deepEqual([status, code, answers], [400, 'invalid_request', 1])
  })
}

for (const [what, request] of [
  ['two hosts', get('host: b\r\n')],
  ['the same host twice', get('Host: a\r\n')],
  ['two credentials', get('authorization: Bearer a\r\nAuthorization: Bearer b\r\n')],
  ['two types of content', get('content-type: application/json\r\ncontent-type: text/plain\r\n')],
  ['a version of another protocol', `GET /echo HTTP/2.0\r\n${HOST}connection: close\r\n\r\n`],
  ['a version without headers, with one', `GET /echo HTTP/0.9\r\n${HOST}connection: close\r\n\r\n`],
  ['another host in the target', `GET http://evil.example/echo HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`],
] as const) {
  test(`${what}: refused`, async () => {
    const { status, code } = await answerTo(request)
    assert.deepEqual([status, code], [400, 'invalid_request'])
  })
}

test('the whole address as target is taken where it is ours', async () => {
  assert.equal((await answerTo(`GET http://a/echo HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`)).status, 200)
})

test('nobody gets a tunnel, nor an echo of what was sent', async () => {
  const tunnel = await answerTo(`CONNECT evil.example:443 HTTP/1.1\r\n${HOST}\r\n`)
  assert.deepEqual([tunnel.status, tunnel.code], [405, 'method_not_allowed'])
  const trace = await answerTo(`TRACE /echo HTTP/1.1\r\n${HOST}cookie: secret\r\nconnection: close\r\n\r\n`)
  assert.deepEqual([trace.status, trace.code], [405, 'method_not_allowed'])
  assert.doesNotMatch(trace.rest, /secret/)
  const all = await answerTo(`OPTIONS * HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`)
  assert.deepEqual([all.status, all.answers], [404, 1])
})

test('an address as long as headers may be is read, a longer one is refused', async () => {
  const at = (length: number) => `GET /${'a'.repeat(length)} HTTP/1.1\r\n${HOST}connection: close\r\n\r\n`
  assert.equal((await answerTo(at(16_000))).status, 404)
  assert.deepEqual((await answerTo(at(17_000))).status, 431)
})

test('trailers are bounded as headers are', async () => {
  const { status, code } = await answerTo(post(CHUNKED, `2\r\n{}\r\n0\r\nx-a: ${'b'.repeat(17_000)}\r\n\r\n`))
  assert.deepEqual([status, code], [431, 'headers_too_large'])
})

test('a body may be nested up to a limit, and one deeper is refused before anything walks it', async () => {
  const nested = (depth: number) => {
    const body = '['.repeat(depth) + ']'.repeat(depth)
    return answerTo(post(`content-length: ${body.length}\r\nconnection: close\r\n`, body))
  }
  assert.equal((await nested(200)).status, 200)
  for (const depth of [201, 400_000]) {
    const { status, code } = await nested(depth)
    assert.deepEqual([status, code], [400, 'invalid_request'], `${depth}`)
  }
})

test('every answer tells browsers to keep to what it is, errors too', async () => {
  await using transport = await startTransport((server) => server.get('/it', async () => ({})))
  for (const path of ['/it', '/nowhere', '/%ff']) {
    const { headers } = await fetch(transport.url + path)
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path)
    assert.equal(headers.get('content-security-policy'), "default-src 'none'; frame-ancestors 'none'", path)
    assert.equal(headers.get('cross-origin-resource-policy'), 'same-origin', path)
    assert.equal(headers.get('cache-control'), 'no-store', path)
    assert.equal(headers.get('strict-transport-security'), null, 'over http it means nothing')
    assert.equal(headers.get('server') ?? headers.get('x-powered-by'), null)
  }
})
