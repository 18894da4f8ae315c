import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { followTurn, type LoggedEvent, type Patience, readTurn } from './chat-stream.ts'
import { createClient } from './client.ts'
import { Refused } from './faults.ts'

type Answer = (reply: ServerResponse, request: IncomingMessage) => void

const quick: Patience = { silenceMs: 20_000, retryMs: [1, 1, 1] }

/** What a reader gets who begins with a message, of a process that answers so, one request after the other. */
async function follow(answers: Answer[], patience = quick) {
  const asked: string[] = []
  const server = createServer((request, reply) => {
    asked.push([request.method, request.url, request.headers['last-event-id']].filter(Boolean).join(' '))
    answers.shift()?.(reply, request)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { signal } = new AbortController()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = createClient({ url, token: undefined, signal })
  const events: LoggedEvent[] = []
  let breaks = 0
  const onBreak = () => {
    breaks += 1
  }
  try {
    const open: Parameters<typeof followTurn>[1] = (init) => client.open('POST', '/begin', init)
    for await (const event of followTurn(client, open, { signal, onBreak, patience })) events.push(event)
    return { asked, events, breaks, fault: undefined }
  } catch (fault) {
    return { asked, events, breaks, fault }
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

const frame = (id: number | undefined, type: string) =>
  `${id === undefined ? '' : `id: turn_1.${id}\n`}event: ${type}\ndata: {"at":"${id}"}\n\n`

const stream =
  (...frames: string[]): Answer =>
  (reply) => {
    reply.writeHead(200, { 'content-type': 'text/event-stream', 'x-parley-turn': 'turn_1' })
    reply.end(frames.join(''))
  }

const refuse =
  (status: number, type: string): Answer =>
  (reply) => {
    reply.writeHead(status, { 'content-type': 'application/json' })
    reply.end(JSON.stringify({ error: { code: 'some_code', message: 'No.', type, param: null, request_id: null } }))
  }

const hangUp: Answer = (reply) => reply.destroy()

const ids = (events: readonly LoggedEvent[]) => events.map(({ id }) => id)

test('a stream that breaks is taken up behind the last id, however often', async () => {
  const { asked, events, breaks } = await follow([
    stream(frame(0, 'token'), ': alive\n\n', frame(1, 'token')),
    hangUp,
    stream(frame(2, 'token')),
    stream(frame(3, 'turn.completed')),
  ])
  assert.deepEqual(ids(events), ['turn_1.0', 'turn_1.1', 'turn_1.2', 'turn_1.3'])
  assert.deepEqual(asked, [
    'POST /begin',
    ...['turn_1.1', 'turn_1.1', 'turn_1.2'].map((id) => `GET /api/v1/turns/turn_1/stream ${id}`),
  ])
  assert.equal(breaks, 3)
})

test('what no log has yet is shown once a log has what follows it, and forgotten when the stream breaks before', async () => {
  const { events, asked } = await follow([
    stream(frame(0, 'token'), frame(undefined, 'lost'), frame(undefined, 'turn.failed')),
    stream(frame(undefined, 'kept'), frame(2, 'turn.completed')),
  ])
  assert.deepEqual(
    events.map(({ type }) => type),
    ['token', 'kept', 'turn.completed'],
  )
  assert.equal(asked[1], 'GET /api/v1/turns/turn_1/stream turn_1.0')
})

test('a message that nobody answers is sent again; one that is refused is not', async () => {
  const sent = await follow([hangUp, stream(frame(0, 'turn.completed'))])
  assert.deepEqual(sent.asked, ['POST /begin', 'POST /begin'])
  for (const answer of [refuse(503, 'server_error'), refuse(404, 'invalid_request_error')]) {
    const { asked, fault } = await follow([answer])
    assert.ok(fault instanceof Refused && fault.code === 'some_code')
    assert.equal(asked.length, 1)
  }
})

test('trouble of the process while a turn runs is waited out, a refusal is not', async () => {
  const begun = stream(frame(0, 'token'))
  const end = stream(frame(1, 'turn.completed'))
  const waited = await follow([begun, refuse(503, 'server_error'), refuse(429, 'rate_limit_error'), end])
  assert.deepEqual(ids(waited.events), ['turn_1.0', 'turn_1.1'])
  const { fault, asked } = await follow([begun, refuse(401, 'authentication_error'), end])
  assert.ok(fault instanceof Refused)
  assert.equal(asked.length, 2)
})

test('what stays away is given up with its cause, and what has nothing more to say is the end', async () => {
  const { fault, asked } = await follow([hangUp, hangUp, hangUp, hangUp])
  assert.ok(fault instanceof Refused && fault.code === 'unreachable')
  assert.equal(asked.length, 4)
  const nothing = await follow([stream(frame(0, 'token')), (reply) => reply.writeHead(204).end()])
  assert.equal(nothing.fault, undefined)
  const empty = await follow(Array.from({ length: 5 }, () => stream()))
  assert.ok(empty.fault instanceof Refused && empty.fault.message.includes('again and again'))
})

test('what is no stream of a turn is not of Parley, and asking again makes it none', async () => {
  const page: Answer = (reply) => reply.writeHead(200, { 'content-type': 'text/html' }).end('<html>Sign in</html>')
  const nameless: Answer = (reply) =>
    reply.writeHead(200, { 'content-type': 'text/event-stream' }).end(frame(0, 'token'))
  for (const answers of [[page], [nameless], [stream(frame(0, 'token')), page]]) {
    const times = answers.length
    const { fault, asked } = await follow(answers)
    assert.ok(fault instanceof Refused && fault.message.endsWith('answered 200 OK, and it was not Parley.'))
    assert.equal(asked.length, times)
  }
})

test('a line that falls silent is given up for a new one', async () => {
  const untilHeard: Answer = (reply, request) => {
    if (request.headers['last-event-id'] === 'turn_1.0') return stream(frame(1, 'turn.completed'))(reply, request)
    reply.writeHead(200, { 'content-type': 'text/event-stream', 'x-parley-turn': 'turn_1' })
    reply.write(frame(0, 'token'))
  }
  // However slow the machine is, and takes the first for silent before it has spoken.
  const tries = Array.from({ length: 100 }, () => untilHeard)
  const { events, fault } = await follow(tries, { silenceMs: 200, retryMs: tries.map(() => 1) })
  assert.deepEqual([fault, ids(events)], [undefined, ['turn_1.0', 'turn_1.1']])
})

test('a turn is read from its start, or behind an event', async () => {
  const asked: unknown[] = []
  const { signal } = new AbortController()
  const client = {
    ...createClient({ url: undefined, token: undefined, signal }),
    open: async (_method: string, path: string, init?: { headers?: Record<string, string> }) => {
      asked.push([path, init?.headers?.['last-event-id']])
      return new Response(null, { status: 204 })
    },
  }
  for (const after of [undefined, 'turn_1.4']) {
    const following = { signal, onBreak: () => {} }
    assert.deepEqual(await Array.fromAsync(followTurn(client, readTurn(client, 'turn_1'), following, after)), [])
  }
  const path = '/api/v1/turns/turn_1/stream'
  assert.deepEqual(asked, [
    [path, undefined],
    [path, 'turn_1.4'],
  ])
})
