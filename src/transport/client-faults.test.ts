import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { ErrorBody } from '#errors.ts'
import { manualClock } from '../../test/support/clock.ts'
import { startTransport } from '../../test/support/transport-server.ts'

function routes(server: FastifyInstance): void {
  server.post('/bare', async (request) => ({ body: request.body ?? null }))
  server.get('/who', async () => ({ ok: true }))
  server.get('/slow', async () => {
    await new Promise((resolve) => setTimeout(resolve, 100))
    return { slow: true }
  })
}

const impatient = { headersTimeoutMs: 150, requestTimeoutMs: 300 }

/** The last response of what was received. */
function lastFault(received: string): { head: string; fault: ErrorBody['error'] } {
  const last = received.split(/^(?=HTTP\/1\.1 \d)/m).at(-1) ?? ''
  const [head = '', body = ''] = last.split('\r\n\r\n')
  const { error } = JSON.parse(body) as ErrorBody
  assert.ok(head.includes(`x-request-id: ${error.request_id}`), head)
  assert.ok(head.includes(`content-length: ${Buffer.byteLength(body)}`), head)
  return { head, fault: error }
}

test('what is not HTTP is answered in the one shape, and the connection closed', async () => {
  await using transport = await startTransport(routes)
  for (const garbage of [
    'hello\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01',
    'GET / HTTP/9.9\r\n\r\n',
    'GET /who HTTP/1.1\r\nbad header\r\n\r\n',
  ]) {
    const { head, fault } = lastFault(await transport.raw().send(garbage).untilClosed())
    assert.match(head, /^HTTP\/1\.1 400 Bad Request/)
    assert.match(head, /connection: close/)
    assert.equal(fault.code, 'invalid_request')
  }
})

test('a request that could be read in two ways is refused', async () => {
  await using transport = await startTransport(routes)
  const smuggling = [
    'POST /bare HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /bare HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcd',
    'POST /bare HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
    'GET /who HTTP/1.1\r\nhost: x\r\nx-a: a\x00b\r\n\r\n',
  ]
  for (const request of smuggling) {
    const { head, fault } = lastFault(await transport.raw().send(request).untilClosed())
    assert.match(head, /^HTTP\/1\.1 400/)
    assert.equal(fault.code, 'invalid_request')
  }
})

test('headers above their size are refused with 431', async () => {
  await using transport = await startTransport(routes)
  const client = transport.raw().send(`GET /who HTTP/1.1\r\nhost: x\r\nx-flood: ${'a'.repeat(17_000)}\r\n\r\n`)
  const { head, fault } = lastFault(await client.untilClosed())
  assert.match(head, /^HTTP\/1\.1 431/)
  assert.equal(fault.code, 'headers_too_large')
})

test('as many headers as allowed are served, one more is refused with 431', async () => {
  await using transport = await startTransport(routes)
  const request = (count: number) =>
    `GET /who HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${'a: b\r\n'.repeat(count - 2)}\r\n`
  assert.match(await transport.raw().send(request(100)).untilClosed(), /^HTTP\/1\.1 200/)
  const { head, fault } = lastFault(await transport.raw().send(request(101)).untilClosed())
  assert.match(head, /^HTTP\/1\.1 431/)
  assert.equal(fault.code, 'headers_too_large')
  assert.match(await transport.raw().send(request(2200)).untilClosed(), /^HTTP\/1\.1 431/)
})

test('headers that trickle in are cut off in time', async () => {
  await using transport = await startTransport(routes, { limits: impatient })
  const client = transport.raw().send('GET /who HTTP/1.1\r\nhost: x\r\n')
  const trickle = setInterval(() => client.send('a: b\r\n'), 40)
  const { head, fault } = lastFault(await client.untilClosed())
  clearInterval(trickle)
  assert.match(head, /^HTTP\/1\.1 408/)
  assert.equal(fault.code, 'request_timeout')
})

test('a body that trickles in is cut off in time', async () => {
  await using transport = await startTransport(routes, { limits: impatient })
  const client = transport.raw()
  client.send('POST /bare HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{')
  const trickle = setInterval(() => client.send(' '), 40)
  const { head, fault } = lastFault(await client.untilClosed())
  clearInterval(trickle)
  assert.match(head, /^HTTP\/1\.1 408/)
  assert.equal(fault.code, 'request_timeout')
})

test('a connection that never says anything does not stay', async () => {
  await using transport = await startTransport(routes, { limits: impatient })
  const received = await transport.raw().untilClosed()
  assert.match(received, /^HTTP\/1\.1 408/)
})

test('a chunked body above the limit is refused, whatever it does not announce', async () => {
  await using transport = await startTransport(routes, { limits: { bodyBytes: 1000 } })
  const client = transport.raw()
  client.send('POST /bare HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n')
  for (let sent = 0; sent <= 1000; sent += 100) client.send(`64\r\n${' '.repeat(100)}\r\n`)
  const { head, fault } = lastFault(await client.untilClosed())
  assert.match(head, /^HTTP\/1\.1 413/)
  assert.equal(fault.code, 'body_too_large')
})

test('a client that leaves in the middle of its body disturbs nobody', async () => {
  await using transport = await startTransport(routes)
  const client = transport.raw()
  client.send('POST /bare HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"a"')
  await new Promise((resolve) => setTimeout(resolve, 20))
  client.destroy()
  await client.closed
  assert.deepEqual(await (await fetch(`${transport.url}/who`)).json(), { ok: true })
  assert.deepEqual(transport.logged, [])
})

test('a client that closes its sending side is gone: nothing of it stays open', async () => {
  await using transport = await startTransport(routes)
  const client = transport.raw().send('GET /slow HTTP/1.1\r\nhost: x\r\n\r\n')
  client.socket.end()
  await client.closed
  const connections = await new Promise((resolve) =>
    transport.server.server.getConnections((_, count) => resolve(count)),
  )
  assert.equal(connections, 0)
})

test('requests that never arrive whole do not keep the server from closing', async () => {
  const clock = manualClock()
  await using transport = await startTransport(routes, { clock })
  const head = 'POST /bare HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{'
  for (const part of ['', 'GET /who HTTP/1.1\r\nho', head]) transport.raw().send(part)
  await transport.raw().send('GET /who HTTP/1.1\r\nhost: x\r\n\r\n').until('"ok"')
  const closing = transport.server.close()
  while (clock.pending === 0) await turnOfLoop()
  clock.advance(2000)
  await closing
  assert.equal(clock.pending, 0)
})

test('pipelined requests are answered in their order', async () => {
  await using transport = await startTransport(routes)
  const client = transport.raw()
  client.send('GET /slow HTTP/1.1\r\nhost: x\r\n\r\nGET /who HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  const received = await client.untilClosed()
  assert.equal(received.split('HTTP/1.1 200').length, 3)
  assert.ok(received.indexOf('"slow"') < received.indexOf('"ok"'), received)
})

test('HTTP/1.1 needs a host, HTTP/1.0 does not; an odd expectation is passed over', async () => {
  await using transport = await startTransport(routes)
  const hostless = await transport.raw().send('GET /who HTTP/1.1\r\nconnection: close\r\n\r\n').untilClosed()
  assert.equal(lastFault(hostless).fault.code, 'invalid_request')
  const old = await transport.raw().send('GET /who HTTP/1.0\r\n\r\n').untilClosed()
  assert.match(old, /^HTTP\/1\.1 200[\s\S]*\{"ok":true\}$/)
  const expecting = 'GET /who HTTP/1.1\r\nhost: x\r\nexpect: a miracle\r\nconnection: close\r\n\r\n'
  assert.match(await transport.raw().send(expecting).untilClosed(), /^HTTP\/1\.1 200/)
})

test('HEAD has the headers of GET and no body', async () => {
  await using transport = await startTransport(routes)
  const received = await transport
    .raw()
    .send('HEAD /who HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    .untilClosed()
  assert.match(received, /^HTTP\/1\.1 200/)
  assert.match(received, /content-length: 11\r\n/)
  assert.ok(received.endsWith('\r\n\r\n'), received)
})

test('connections above the limit are dropped, and taken again when there is room', async () => {
  await using transport = await startTransport(routes, { limits: { connections: 2 } })
  const request = 'GET /who HTTP/1.1\r\nhost: x\r\n\r\n'
  const first = transport.raw().send(request)
  const second = transport.raw().send(request)
  await Promise.all([first.until('"ok"'), second.until('"ok"')])
  assert.equal(await transport.raw().send(request).untilClosed(), '')
  first.destroy()
  // The server takes a moment to hear of it.
  const isTaken = () =>
    transport
      .raw()
      .send(request)
      .until('"ok"')
      .catch(() => undefined)
  while ((await isTaken()) === undefined) await new Promise((resolve) => setTimeout(resolve, 20))
})
