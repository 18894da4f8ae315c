import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { ScriptedChat, type ScriptedTurn } from '../../../test/support/scripted-chat.ts'
import { startWebSockets } from '../../../test/support/web-socket-server.ts'

async function readersGone(turn: ScriptedTurn): Promise<void> {
  while (turn.readers > 0) await setImmediate()
}

test('a peer that leaves leaves its turns alone', async () => {
  const chat = new ScriptedChat()
  await using server = await startWebSockets(chat)
  for (const leave of ['close', 'terminate'] as const) {
    const client = await server.connect()
    const { result } = await client.call('chat', { message: 'hi' })
    const turn = chat.started.at(-1)?.turn.emit('turn.started', {})
    assert.ok(turn)
    await client.eventsOf(result?.turn, (event) => event === 'turn.started')
    client.socket[leave]()
    await readersGone(turn)
    assert.equal(turn.view.status, 'running')
  }
  assert.deepEqual(chat.cancelled, [])
})

test('a peer that leaves before its chat is answered leaves nothing behind', async () => {
  const chat = new ScriptedChat()
  const starting = Promise.withResolvers<void>()
  const { start } = ScriptedChat.prototype
  chat.start = async (principal, request) => {
    await starting.promise
    return start.call(chat, principal, request)
  }
  await using server = await startWebSockets(chat)
  const client = await server.connect()
  client.socket.send('{"jsonrpc":"2.0","id":1,"method":"chat","params":{"message":"hi"}}')
  await client.close()
  starting.resolve()
  while (chat.started.length === 0) await setImmediate()
  const turn = chat.started[0]?.turn
  assert.ok(turn)
  await readersGone(turn)
  assert.equal(turn.view.status, 'running')
  assert.deepEqual(server.logged, [])
})

test('a turn that can no longer be read is said to be interrupted, and can be resumed', async () => {
  const chat = new ScriptedChat()
  await using server = await startWebSockets(chat)
  const client = await server.connect()
  const turn = chat.open().emit('turn.started', {})
  await client.call('resume', { turn: turn.id })
  turn.fail(new ParleyError('state_unavailable'))
  const { params } = await client.nextNotification('turn.interrupted')
  assert.equal(params.turn, turn.id)
  assert.deepEqual([params.error?.code, params.error?.data?.code], [-32000, 'state_unavailable'])
  assert.equal((await client.call('resume', { turn: turn.id, after: 0 })).error, undefined)
  assert.deepEqual(server.logged, [])
})

test('a bug in reading a turn is logged, and its details are not told', async () => {
  const chat = new ScriptedChat()
  await using server = await startWebSockets(chat)
  const client = await server.connect()
  const turn = chat.open().emit('turn.started', {})
  await client.call('resume', { turn: turn.id })
  turn.fail(new Error('secret detail'))
  const { params } = await client.nextNotification('turn.interrupted')
  assert.equal(params.error?.data?.code, 'internal')
  assert.doesNotMatch(JSON.stringify(params), /secret/)
  assert.equal(server.logged.length, 1)
})

test('many turns on one connection keep each its own order', async () => {
  const chat = new ScriptedChat()
  await using server = await startWebSockets(chat)
  const client = await server.connect()
  const turns = Array.from({ length: 5 }, () => chat.open())
  for (const turn of turns) await client.call('resume', { turn: turn.id })
  for (let event = 0; event < 50; event++) {
    for (const turn of turns) turn.emit('token', { text: String(event) })
    if (event % 10 === 0) await setImmediate()
  }
  for (const turn of turns) turn.emit('turn.completed', {})
  for (const turn of turns) {
    const events = await client.eventsOf(turn.id)
    assert.deepEqual(
      events.map(({ id }) => id),
      Array.from({ length: 51 }, (_, position) => `${turn.id}.${position}`),
    )
  }
})

test('a server that closes says so, and waits for nobody for long', async () => {
  const chat = new ScriptedChat()
  const server = await startWebSockets(chat)
  const polite = await server.connect()
  const deaf = await server.connect()
  deaf.socket.pause()
  const turn = chat.open().emit('turn.started', {})
  await polite.call('resume', { turn: turn.id })
  const closing = server.server.close()
  assert.deepEqual(await polite.closed, { code: 1012, reason: 'shutting down' })
  await closing
  assert.equal(turn.readers, 0)
  assert.equal(turn.view.status, 'running')
  await server[Symbol.asyncDispose]()
})

test('two hundred connections that open at once are all served', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('turn.completed', {}))
  await using server = await startWebSockets(chat)
  const clients = await Promise.all(Array.from({ length: 200 }, () => server.connect()))
  const answers = await Promise.all(clients.map((client) => client.call('chat', { message: 'hi' })))
  await Promise.all(clients.map((client, index) => client.eventsOf(answers[index]?.result?.turn)))
  assert.equal(new Set(chat.started.map(({ turn }) => turn.id)).size, 200)
  assert.equal(chat.begun.length, 200)
})

test('a peer that closes its half of the connection without a word is let go', async () => {
  const chat = new ScriptedChat()
  await using server = await startWebSockets(chat)
  const turn = chat.open()
  const raw = server
    .raw()
    .send(
      [
        'GET /ws/v1/specialists/plain HTTP/1.1',
        'host: localhost',
        'connection: Upgrade',
        'upgrade: websocket',
        'sec-websocket-version: 13',
        'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
        '\r\n',
      ].join('\r\n'),
    )
  await raw.until('\r\n\r\n')
  const call = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'resume', params: { turn: turn.id } }))
  // A masked text frame, its mask all zeros.
  raw.send(Buffer.concat([Buffer.from([0x81, 0x80 | call.length, 0, 0, 0, 0]), call]))
  await raw.until('"result"')
  assert.equal(turn.readers, 1)
  raw.socket.end()
  await raw.untilClosed()
  await readersGone(turn)
  assert.equal(turn.view.status, 'running')
})
