import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { createLocalAuthenticator } from '#identity/local.ts'
import { refusedHandshake } from '../../../test/support/rpc-client.ts'
import { ScriptedChat } from '../../../test/support/scripted-chat.ts'
import { startTransport } from '../../../test/support/transport-server.ts'
import { startWebSockets } from '../../../test/support/web-socket-server.ts'

const path = '/ws/v1/specialists/plain'

/** A handshake written by hand; its headers may be wrong. */
function handshake(headers: Record<string, string> = {}, address = path): string {
  const all = {
    host: 'localhost',
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `GET ${address} HTTP/1.1\r\n${lines.join('')}\r\n`
}

test('who may not call is told so in HTTP', async () => {
  const cases: [code: 'unauthenticated' | 'forbidden' | 'cross_site', status: number][] = [
    ['unauthenticated', 401],
    ['forbidden', 403],
    ['cross_site', 403],
  ]
  for (const [code, status] of cases) {
    for (const authenticate of [
      () => Promise.reject(new ParleyError(code)),
      () => {
        throw new ParleyError(code)
      },
    ]) {
      await using server = await startWebSockets(new ScriptedChat(), { authenticate })
      const refused = await refusedHandshake(server.url)
      assert.deepEqual([refused.status, refused.body.error.code], [status, code])
      assert.equal(refused.body.error.request_id, refused.headers['x-request-id'])
    }
  }
})

test('the authenticator sees the headers of the handshake', async () => {
  const { authenticate } = createLocalAuthenticator()
  await using server = await startWebSockets(new ScriptedChat(), { authenticate })
  const foreign = await refusedHandshake(server.url, 'plain', { origin: 'https://evil.example' })
  assert.deepEqual([foreign.status, foreign.body.error.code], [403, 'cross_site'])
  const rebound = await refusedHandshake(server.url, 'plain', { headers: { host: 'evil.example' } })
  assert.equal(rebound.status, 403)
  const own = await server.connect({ origin: server.url })
  assert.equal((await own.call('ping')).result, 'pong')
})

test('a specialist that is not there is not found', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  for (const name of ['nobody', 'constructor', '__proto__', 'x'.repeat(300), '%70lain%00', '%ff']) {
    const { status, body } = await refusedHandshake(server.url, name)
    assert.ok(status === 404 || (name === '%ff' && status === 400), `${name}: ${status}`)
    assert.match(body.error.request_id, /^req_/)
  }
  assert.equal((await refusedHandshake(server.url, 'plain/more')).status, 404)
})

test('who does not speak WebSocket, version 13, is told what is spoken here', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const plain = await fetch(server.url + path)
  assert.deepEqual([plain.status, plain.headers.get('upgrade')], [426, 'websocket'])
  const old = server.raw().send(handshake({ 'sec-websocket-version': '8' }))
  assert.match(await old.until('upgrade_required'), /^HTTP\/1.1 426 [\s\S]*sec-websocket-version: 13\r\n/)
  const older = server.raw().send(handshake().replace('HTTP/1.1', 'HTTP/1.0'))
  assert.match(await older.untilClosed(), /^HTTP\/1.1 426 /)
  const posted = await fetch(server.url + path, { method: 'POST' })
  assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD'])
})

test('a handshake with a key that is none is refused in the one shape of errors, and the connection ends', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  for (const [name, value] of [
    ['sec-websocket-key', 'short'],
    ['sec-websocket-protocol', 'a,,b'],
  ] as const) {
    const answer = await server
      .raw()
      .send(handshake({ [name]: value }))
      .untilClosed()
    assert.match(answer, /^HTTP\/1.1 400 [\s\S]*"code":"invalid_request"/)
  }
})

test('a refused handshake ends its connection', async () => {
  const { authenticate } = createLocalAuthenticator()
  await using server = await startWebSockets(new ScriptedChat(), { authenticate })
  const cases: [address: string, headers: Record<string, string>, status: number][] = [
    ['/ws/v1/specialists/nobody', {}, 404],
    [`/ws/v1/specialists/${'x'.repeat(64)}`, {}, 404],
    [path, { host: 'evil.example' }, 403],
    [`${path}?x=%ff`, {}, 400],
  ]
  for (const [address, headers, status] of cases) {
    const answer = await server.raw().send(handshake(headers, address)).untilClosed()
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `))
    assert.equal(answer.split('HTTP/1.1').length, 2)
  }
})

test('the answer that opens a WebSocket carries the request id', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const own = server.raw().send(handshake({ 'x-request-id': 'mine-1' }))
  assert.match(await own.until('\r\n\r\n'), /^HTTP\/1.1 101 [\s\S]*x-request-id: mine-1\r\n/)
  const given = server.raw().send(handshake({ 'x-request-id': '"' }))
  assert.match(await given.until('\r\n\r\n'), /x-request-id: req_[0-9a-f]{32}\r\n/)
})

test('compression is not agreed to', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const client = await server.connect({ perMessageDeflate: true })
  assert.equal(client.socket.extensions, '')
  assert.equal((await client.call('ping')).result, 'pong')
})

test('beyond the limit of connections the handshake is refused, until one has ended', async () => {
  await using server = await startWebSockets(new ScriptedChat(), { websocket: { connections: 2 } })
  const first = await server.connect()
  await server.connect()
  const refused = await refusedHandshake(server.url)
  assert.deepEqual([refused.status, refused.body.error.code], [503, 'overloaded'])
  assert.equal(refused.headers['retry-after'], '1')
  await first.close()
  assert.equal((await (await server.connect()).call('ping')).result, 'pong')
})

test('requests that offer another protocol are answered as if they had not', async () => {
  await using transport = await startTransport((server) => {
    server.post('/echo', async ({ body }) => body)
  })
  const answer = Promise.withResolvers<string>()
  const asked = request(
    `${transport.url}/echo`,
    {
      method: 'POST',
      headers: { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'content-type': 'application/json' },
    },
    async (response) => answer.resolve((await response.setEncoding('utf8').toArray()).join('')),
  )
  asked.on('upgrade', () => answer.reject(new Error('The protocol was changed.')))
  asked.end('{"text":"hi"}')
  assert.equal(await answer.promise, '{"text":"hi"}')
})
