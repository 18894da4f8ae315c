import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { test } from 'node:test'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import fc from 'fast-check'
import { ParleyError } from '#errors.ts'
import { manualClock } from '../../test/support/clock.ts'
import {
  caller,
  startTransport,
  type TransportServer,
  type TransportServerOptions,
} from '../../test/support/transport-server.ts'
import type { EventStream } from './event-stream.ts'
import { openEventStream } from './sse.ts'

interface Streaming extends TransportServer {
  /** The next stream that was or will be opened, in their order. */
  opened(): Promise<EventStream>
}

/** `GET /stream` opens a stream and leaves it to the test. */
async function startStreaming(options?: TransportServerOptions): Promise<Streaming> {
  const streams: EventStream[] = []
  const openings = new EventEmitter()
  const transport = await startTransport((server) => {
    server.get('/stream', async (_request, reply) => {
      streams.push(
        openEventStream(reply, {
          headers: { 'x-more': 'yes' },
          farewell: ({ code }) => `event: notice\ndata: ${code}\n\n`,
        }),
      )
      openings.emit('opened')
    })
    server.get('/who', async () => ({ ok: true }))
  }, options)
  return {
    ...transport,
    async opened() {
      if (streams.length === 0) await once(openings, 'opened')
      const stream = streams.shift()
      assert.ok(stream)
      return stream
    },
    [Symbol.asyncDispose]: transport[Symbol.asyncDispose],
  }
}

const GET = 'GET /stream HTTP/1.1\r\nhost: x\r\n\r\n'

function bodyOf(received: string): string {
  return received.slice(received.indexOf('\r\n\r\n') + 4)
}

test('the head goes out at once, with what keeps proxies from holding the stream back', async () => {
  await using transport = await startStreaming()
  const head = (await transport.raw().send(GET).until('\r\n\r\n')).toLowerCase()
  assert.match(head, /^http\/1\.1 200 ok\r\n/)
  for (const line of [
    'content-type: text/event-stream; charset=utf-8',
    'cache-control: no-cache, no-transform',
    'x-accel-buffering: no',
    'transfer-encoding: chunked',
    'x-more: yes',
  ]) {
    assert.ok(head.includes(`\r\n${line}\r\n`), line)
  }
  assert.match(head, /\r\nx-request-id: req_/)
})

test('what is written in one tick is one chunk, byte for byte; bytes and text keep their order', async () => {
  await using transport = await startStreaming()
  const client = transport.raw().send(GET)
  const stream = await transport.opened()
  stream.write('data: a\n\n')
  stream.write('data: b\n\n')
  await client.until('b\n\n')
  stream.write('data: ü€👍\n\n')
  await client.until('👍\n\n')
  stream.write('data: c\n\n')
  stream.write(Buffer.from('data: ü\n\n'))
  stream.write('data: 👍\n\n')
  stream.end()
  await client.until('\r\n0\r\n\r\n')
  assert.equal(
    bodyOf(client.received),
    [
      '12\r\ndata: a\n\ndata: b\n\n\r\n',
      '11\r\ndata: ü€👍\n\n\r\n',
      '1f\r\ndata: c\n\ndata: ü\n\ndata: 👍\n\n\r\n',
      '0\r\n\r\n',
    ].join(''),
  )
  assert.equal(stream.closed.aborted, false)
})

test('whatever is written, in whatever pieces and ticks, arrives as it was written', async () => {
  await using transport = await startStreaming()
  const text = fc.string({ unit: 'grapheme', maxLength: 40 })
  const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
  const ticks = fc.array(fc.array(fc.oneof(text, bytes), { maxLength: 4 }), { maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(ticks, async (rounds) => {
      const reading = fetch(`${transport.url}/stream`)
      const stream = await transport.opened()
      for (const round of rounds) {
        for (const part of round) stream.write(part)
        await turnOfLoop()
      }
      stream.end()
      const written = rounds.flat().map((part) => (typeof part === 'string' ? Buffer.from(part) : part))
      assert.deepEqual(Buffer.from(await (await reading).arrayBuffer()), Buffer.concat(written))
    }),
    { numRuns: 100 },
  )
})

test('head, text and end of one tick leave in one write', async () => {
  await using transport = await startStreaming()
  const client = transport.raw().send(GET)
  const stream = await transport.opened()
  stream.write('data: a\n\n')
  stream.end()
  await client.until('\r\n0\r\n\r\n')
  assert.equal(client.reads, 1)
})

test('the connection serves further requests afterwards, pipelined ones included', async () => {
  await using transport = await startStreaming()
  const client = transport.raw().send(`${GET}GET /who HTTP/1.1\r\nhost: x\r\n\r\n`)
  const stream = await transport.opened()
  stream.write('data: a\n\n')
  await client.until('data: a')
  assert.doesNotMatch(client.received, /"ok"/)
  stream.end()
  const received = await client.until('{"ok":true}')
  assert.match(received, /data: a\n\n\r\n0\r\n\r\nHTTP\/1\.1 200 OK/)
  await client.send('GET /who HTTP/1.1\r\nhost: x\r\n\r\n').until('{"ok":true}HTTP/1.1 200')
})

test('a pipelined stream waits for the one before it and loses nothing', async () => {
  await using transport = await startStreaming()
  const client = transport.raw().send(GET + GET)
  const first = await transport.opened()
  const second = await transport.opened()
  second.write('data: second\n\n')
  await turnOfLoop()
  second.write(Buffer.from('data: more\n\n'))
  first.write('data: first\n\n')
  await client.until('data: first')
  assert.doesNotMatch(client.received, /second/)
  first.end()
  second.end()
  const received = await client.until('data: more\n\n\r\n0\r\n\r\n')
  assert.ok(received.indexOf('data: second') > received.indexOf('\r\n0\r\n\r\nHTTP/1.1 200'), received)
})

test('a pipelined stream whose client leaves before its turn is closed', async () => {
  await using transport = await startStreaming()
  const client = transport.raw().send(GET + GET)
  await transport.opened()
  const second = await transport.opened()
  client.destroy()
  await once(second.closed, 'abort')
  assert.equal(transport.server.eventStreams.size, 0)
})

test('HTTP/1.0 gets the bare frames until the connection closes; so does connection: close its chunks', async () => {
  await using transport = await startStreaming()
  const old = transport.raw().send('GET /stream HTTP/1.0\r\n\r\n')
  const oldStream = await transport.opened()
  oldStream.write('data: ü\n\n')
  oldStream.write(Buffer.from('data: b\n\n'))
  oldStream.end()
  const received = await old.untilClosed()
  assert.doesNotMatch(received, /transfer-encoding/i)
  assert.equal(bodyOf(received), 'data: ü\n\ndata: b\n\n')

  const last = transport.raw().send('GET /stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  const lastStream = await transport.opened()
  lastStream.write('data: a\n\n')
  lastStream.end()
  assert.equal(bodyOf(await last.untilClosed()), '9\r\ndata: a\n\n\r\n0\r\n\r\n')
})

test('HEAD gets the head alone', async () => {
  await using transport = await startStreaming()
  const client = transport.raw().send('HEAD /stream HTTP/1.1\r\nhost: x\r\n\r\n')
  const stream = await transport.opened()
  stream.write('data: a\n\n')
  const received = await client.send('GET /who HTTP/1.1\r\nhost: x\r\n\r\n').until('{"ok":true}')
  assert.match(received, /^HTTP\/1\.1 200[\s\S]*text\/event-stream[\s\S]*?\r\n\r\nHTTP\/1\.1 200/)
})

test('a reader that leaves closes the stream, which takes no more', async () => {
  await using transport = await startStreaming()
  const client = transport.raw().send(GET)
  const stream = await transport.opened()
  await client.until('\r\n\r\n')
  client.destroy()
  await once(stream.closed, 'abort')
  stream.write('data: late\n\n')
  stream.end()
  await stream.drained()
  assert.equal(stream.needsDrain, false)
  assert.equal(transport.server.eventStreams.size, 0)
})

test('a stream opened for a reader that has left already is closed', async () => {
  const prepared = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  let stream: EventStream | undefined
  await using transport = await startTransport((server) => {
    server.get('/late', async (_request, reply) => {
      arrived.resolve()
      await prepared.promise
      stream = openEventStream(reply, { farewell: () => '' })
    })
  })
  const client = transport.raw().send('GET /late HTTP/1.1\r\nhost: x\r\n\r\n')
  await arrived.promise
  client.destroy()
  await client.closed
  await turnOfLoop()
  prepared.resolve()
  await turnOfLoop()
  assert.equal(stream?.closed.aborted, true)
  assert.equal(transport.server.eventStreams.size, 0)
})

test('asks the writer to wait for a reader that takes nothing, and lets it go on when it does', async () => {
  await using transport = await startStreaming()
  const client = transport.raw().send(GET)
  client.socket.pause()
  const stream = await transport.opened()
  const frame = `data: ${'x'.repeat(65_536)}\n\n`
  let written = 0
  while (!stream.needsDrain) {
    stream.write(frame)
    written++
    await turnOfLoop()
    assert.ok(written < 1000)
  }
  let drained = false
  const draining = Promise.all([stream.drained(), stream.drained()]).then(() => {
    drained = true
  })
  await turnOfLoop()
  assert.equal(drained, false)
  client.socket.resume()
  await draining
  stream.end()
  await client.until('\r\n0\r\n\r\n')
  assert.equal(client.received.split('data: ').length - 1, written)
})

test('asks the writer to wait when one tick brings too much', async () => {
  await using transport = await startStreaming()
  const client = transport.raw().send(GET)
  const stream = await transport.opened()
  stream.write('x'.repeat(65_536))
  assert.equal(stream.needsDrain, false)
  stream.write('y')
  assert.equal(stream.needsDrain, true)
  await stream.drained()
  assert.equal(stream.needsDrain, false)
  await client.until('y\r\n')
})

test('a silent stream gets a comment at least every 15 s, one that talks does not', async () => {
  const clock = manualClock()
  await using transport = await startStreaming({ clock })
  const silent = transport.raw().send(GET)
  await transport.opened()
  const busy = transport.raw().send(GET)
  const talker = await transport.opened()
  for (let second = 1; second <= 60; second++) {
    clock.advance(1000)
    talker.write('data: a\n\n')
    await turnOfLoop()
  }
  await busy.until('data: a\n\n')
  await silent.until(': keep-alive\n\n')
  const comments = bodyOf(silent.received).split('e\r\n: keep-alive\n\n\r\n').length - 1
  assert.ok(comments >= 4 && comments <= 6, `${comments} comments in a minute`)
  assert.doesNotMatch(busy.received, /keep-alive\n/)
})

test('a reader that takes nothing for 30 s is told so and cut off', async () => {
  const clock = manualClock()
  await using transport = await startStreaming({ clock })
  const client = transport.raw().send(GET)
  client.socket.pause()
  const stream = await transport.opened()
  while (!stream.needsDrain) {
    stream.write(`data: ${'x'.repeat(65_536)}\n\n`)
    await turnOfLoop()
  }
  const draining = stream.drained()
  clock.advance(29_000)
  assert.equal(stream.closed.aborted, false)
  let waitedMs = 29_000
  for (; !stream.closed.aborted && waitedMs < 60_000; waitedMs += 250) clock.advance(250)
  assert.ok(waitedMs <= 35_250, `cut off after ${waitedMs} ms`)
  assert.ok(stream.closed.reason instanceof ParleyError)
  assert.equal(stream.closed.reason.code, 'slow_consumer')
  client.socket.resume()
  await client.until('event: notice\ndata: slow_consumer\n\n\r\n0\r\n\r\n')
  await draining
  await turnOfLoop()
  assert.equal(transport.server.eventStreams.size, 0)
})

test('the connection of a reader that stays deaf goes', async () => {
  const clock = manualClock()
  await using transport = await startStreaming({ clock })
  const client = transport.raw().send(GET)
  client.socket.pause()
  const stream = await transport.opened()
  while (!stream.needsDrain) {
    stream.write(`data: ${'x'.repeat(65_536)}\n\n`)
    await turnOfLoop()
  }
  const draining = stream.drained()
  clock.advance(45_000)
  await draining
  await turnOfLoop()
  assert.equal(transport.server.eventStreams.size, 0)
  client.socket.resume()
  assert.doesNotMatch(await client.untilClosed(), /\r\n0\r\n\r\n$/)
})

test('a reader that takes a little now and then stays', async () => {
  const clock = manualClock()
  await using transport = await startStreaming({ clock })
  const client = transport.raw().send(GET)
  const stream = await transport.opened()
  for (let round = 0; round < 4; round++) {
    client.socket.pause()
    while (!stream.needsDrain) {
      stream.write(`data: ${'x'.repeat(65_536)}\n\n`)
      await turnOfLoop()
    }
    clock.advance(20_000)
    client.socket.resume()
    await stream.drained()
  }
  assert.equal(stream.closed.aborted, false)
})

test('the timer stops soon after the last stream', async () => {
  const clock = manualClock()
  await using transport = await startStreaming({ clock })
  assert.equal(clock.pending, 0)
  const client = transport.raw().send(GET)
  const stream = await transport.opened()
  assert.equal(clock.pending, 1)
  stream.end()
  await client.until('\r\n0\r\n\r\n')
  await turnOfLoop()
  clock.advance(1000)
  assert.equal(clock.pending, 0)
})

test('streams end with a word when the server closes', async () => {
  await using transport = await startStreaming()
  const client = transport.raw().send(GET)
  const stream = await transport.opened()
  await client.until('\r\n\r\n')
  await transport.server.close()
  assert.equal(stream.closed.aborted, true)
  assert.ok(stream.closed.reason instanceof ParleyError)
  assert.equal(stream.closed.reason.code, 'shutting_down')
  assert.match(await client.untilClosed(), /event: notice\ndata: shutting_down\n\n\r\n0\r\n\r\n$/)
})

test('a stream ends with the credential of its reader, who is told so', async () => {
  const clock = manualClock()
  const until = clock.now() + 60_000
  await using transport = await startStreaming({ clock, authenticate: () => ({ principal: caller, until }) })
  const client = transport.raw().send(GET)
  const stream = await transport.opened()
  clock.advance(59_999)
  assert.equal(stream.closed.aborted, false)
  clock.advance(5_001)
  assert.ok(stream.closed.reason instanceof ParleyError)
  assert.equal(stream.closed.reason.code, 'unauthenticated')
  await client.until('event: notice\ndata: unauthenticated\n\n\r\n0\r\n\r\n')
})
