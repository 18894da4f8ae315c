import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { manualClock } from '../../../test/support/clock.ts'
import { freePort } from '../../../test/support/free-port.ts'
import { httpTarget, rawTarget } from '../../../test/support/http-target.ts'
import { createEgress, type EgressRequest } from './egress.ts'

const clock = manualClock()
const egress = createEgress({ hosts: ['127.0.0.1'], privateRanges: [], clock })

function request(url: string, change: Partial<EgressRequest> = {}, through = egress) {
  return through.request({
    method: 'POST',
    url: new URL(url),
    headers: {},
    body: '{}',
    signal: new AbortController().signal,
    timeouts: { connectMs: 1000, totalMs: 5000 },
    maxResponseBytes: 1000,
    ...change,
  })
}

const before = (reason: string) => ({ name: 'EgressFailure', reason, sent: false })
const after = (reason: string) => ({ name: 'EgressFailure', reason, sent: true })

for (const [form, head] of [
  ['announced', { 'content-length': '1000' }],
  ['in chunks', {}],
] as const) {
  test(`a body ${form} may be as long as the limit`, async () => {
    await using target = await httpTarget((_request, response) => {
      response.writeHead(200, head).write('x'.repeat(999))
      response.end('y')
    })
    assert.equal((await request(target.origin)).body.length, 1000)
  })
}

test('one byte more is too large, announced or not, and the rest is not waited for', async () => {
  await using target = await httpTarget(({ url }, response) => {
    response.writeHead(200, url === '/announced' ? { 'content-length': '1001' } : {})
    response.write('x'.repeat(url === '/announced' ? 1 : 1001))
  })
  for (const path of ['/announced', '/chunked']) {
    const oversized = { name: 'EgressUnusable', reason: 'too_large', status: 200 }
    await assert.rejects(request(target.origin + path), oversized)
  }
})

test('a compressed body is not unpacked, however small it looks', async () => {
  await using target = await httpTarget((_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(100_000)))
  })
  await assert.rejects(request(target.origin), { name: 'EgressUnusable', reason: 'compressed', status: 200 })
})

test('nobody there: nothing was sent', async () => {
  let begun = false
  const beforeSend = async () => {
    begun = true
  }
  await assert.rejects(request(`http://127.0.0.1:${await freePort()}`, { beforeSend }), before('connect_failed'))
  assert.equal(begun, false)
  const through = createEgress({ hosts: ['tool.test'], privateRanges: [], clock, lookup: async () => [] })
  await assert.rejects(request('http://tool.test/', {}, through), before('connect_failed'))
})

test('a name that does not resolve, or not in time: nothing was sent', async () => {
  const lookup = () => Promise.reject(new Error('ENOTFOUND'))
  const lost = createEgress({ hosts: ['tool.test'], privateRanges: [], clock, lookup })
  await assert.rejects(request('http://tool.test/', {}, lost), before('connect_failed'))
  const slow = createEgress({ hosts: ['tool.test'], privateRanges: [], clock, lookup: () => new Promise(() => {}) })
  const waiting = request('http://tool.test/', {}, slow)
  clock.advance(1000)
  await assert.rejects(waiting, before('connect_timeout'))
  assert.equal(clock.pending, 0)
})

test('a connection on which TLS is not spoken, or never ends its greeting: nothing was sent', async () => {
  await using plain = await rawTarget((socket) => socket.end('220 hello\r\n'))
  await assert.rejects(request(`https://127.0.0.1:${plain.port}/`), before('connect_failed'))
  const greeted = Promise.withResolvers<void>()
  await using mute = await rawTarget((socket) => socket.once('data', () => greeted.resolve()))
  const waiting = request(`https://127.0.0.1:${mute.port}/`)
  await greeted.promise
  clock.advance(1000)
  await assert.rejects(waiting, before('connect_timeout'))
})

const HALVES = {
  'nothing at all': '',
  'half a status line': 'HTTP/1.1 20',
  'half a head': 'HTTP/1.1 200 OK\r\ncontent-le',
  'half of what it announced': 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf',
  'half a chunk': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhalf',
  'no last chunk': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  'no HTTP': 'SSH-2.0-OpenSSH_9\r\n',
  'an upgrade nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
}
for (const [what, bytes] of Object.entries(HALVES)) {
  for (const end of ['end', 'resetAndDestroy'] as const) {
    test(`cut off after ${what} (${end}): it may have been done`, async () => {
      let connections = 0
      await using target = await rawTarget((socket) => {
        connections += 1
        socket.once('data', () => socket.write(bytes || ' ', () => socket[end]()))
      })
      await assert.rejects(request(target.origin), after('cut_off'))
      assert.equal(connections, 1)
    })
  }
}

test('a GET that is cut off is not sent again behind our back', async () => {
  let connections = 0
  await using target = await rawTarget((socket) => {
    connections += 1
    socket.once('data', () => socket.destroy())
  })
  await assert.rejects(request(target.origin, { method: 'GET', body: undefined }), after('cut_off'))
  assert.equal(connections, 1)
})

test('no answer, or one that never ends, is given up when the time is over', async () => {
  for (const bytes of ['', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf']) {
    const served = Promise.withResolvers<Socket>()
    await using target = await rawTarget((socket) => {
      socket.once('data', () => {
        if (bytes) socket.write(bytes)
        served.resolve(socket)
      })
    })
    const waiting = request(target.origin)
    const socket = await served.promise
    const gone = new Promise((resolve) => socket.once('close', resolve))
    clock.advance(5000)
    await assert.rejects(waiting, after('timeout'))
    await gone
    assert.equal(clock.pending, 0)
  }
})

test('the signal ends it: before, while connecting, and while the answer is awaited', async () => {
  const reason = new Error('we are shutting down')
  const interrupted = (sent: boolean) => ({ name: 'EgressFailure', reason: 'interrupted', sent, cause: reason })
  await using target = await httpTarget(() => aborting.abort(reason))
  let aborting = new AbortController()
  await assert.rejects(request(target.origin, { signal: aborting.signal }), interrupted(true))
  assert.equal(target.requests.length, 1)

  await assert.rejects(request(target.origin, { signal: aborting.signal }), interrupted(false))
  aborting = new AbortController()
  const lookup = () => new Promise<string[]>(() => aborting.abort(reason))
  const slow = createEgress({ hosts: ['tool.test'], privateRanges: [], clock, lookup })
  await assert.rejects(request('http://tool.test/', { signal: aborting.signal }, slow), interrupted(false))
  aborting = new AbortController()
  const beforeSend = () => new Promise<void>(() => aborting.abort(reason))
  await assert.rejects(request(target.origin, { signal: aborting.signal, beforeSend }), interrupted(false))
  assert.deepEqual([target.requests.length, clock.pending], [1, 0])
})

test('the last word before sending is had on an open connection, once, with nothing sent', async () => {
  const connected = Promise.withResolvers<Socket>()
  const bytes: string[] = []
  await using target = await rawTarget((socket) => {
    connected.resolve(socket)
    socket.once('data', (data) => {
      bytes.push(String(data))
      socket.end('HTTP/1.1 204 No Content\r\n\r\n')
    })
  })
  const words: string[][] = []
  const beforeSend = async () => {
    await connected.promise
    words.push([...bytes])
  }
  assert.equal((await request(target.origin, { beforeSend })).status, 204)
  assert.deepEqual(words, [[]])
  assert.match(bytes.join(''), /^POST \/ HTTP\/1.1\r\n/)
})

test('when it is no, nothing is sent, the connection is closed, and the error stays what it is', async () => {
  const lost = new Error('the run is lost')
  const socket = Promise.withResolvers<Socket>()
  await using target = await rawTarget((connection) => socket.resolve(connection))
  await assert.rejects(request(target.origin, { beforeSend: () => Promise.reject(lost) }), lost)
  const received = await Array.fromAsync(await socket.promise)
  assert.deepEqual(received, [])
})

test('a redirect asks for it only once', async () => {
  await using target = await httpTarget(({ url }, response) => {
    if (url === '/') response.writeHead(302, { location: '/on' }).end()
    else response.end('there')
  })
  let times = 0
  const beforeSend = async () => {
    times += 1
  }
  const answer = await request(target.origin, { method: 'GET', body: undefined, beforeSend })
  assert.deepEqual([answer.body.toString(), times], ['there', 1])
})

test('a redirect to where nobody is: something had been sent', async () => {
  const nobody = await freePort()
  await using target = await httpTarget((_request, response) => {
    response.writeHead(302, { location: `http://127.0.0.1:${nobody}/` }).end()
  })
  await assert.rejects(request(target.origin, { method: 'GET', body: undefined }), after('connect_failed'))
})
