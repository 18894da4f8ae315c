import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { TurnEvent } from '#chat/turn-events.ts'
import { manualClock } from '../../../test/support/clock.ts'
import type { RpcAnswer } from '../../../test/support/rpc-client.ts'
import { ScriptedChat } from '../../../test/support/scripted-chat.ts'
import { caller } from '../../../test/support/transport-server.ts'
import { startWebSockets } from '../../../test/support/web-socket-server.ts'
import { defaultLimits } from '../limits.ts'

const { websocket: limits, heartbeatMs } = defaultLimits

/** A call of `ping` that is so many bytes long. */
function pingOf(bytes: number): string {
  const frame = (padding: string) => `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"p":"${padding}"}}`
  return frame('x'.repeat(bytes - frame('').length))
}

test('a message is taken up to its limit; one byte more ends the connection', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const client = await server.connect()
  assert.equal((await client.ask(pingOf(limits.messageBytes))).result, 'pong')
  client.socket.send(pingOf(limits.messageBytes + 1))
  assert.equal((await client.closed).code, 1009)
})

test('a message in fragments is one message, with the same limit', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const client = await server.connect()
  const sendInFragments = (text: string, size: number) => {
    for (let at = 0; at < text.length; at += size) {
      client.socket.send(text.slice(at, at + size), { fin: at + size >= text.length })
    }
  }
  sendInFragments('{"jsonrpc":"2.0","id":1,"method":"ping"}', 1)
  assert.equal((await client.nextAnswer()).result, 'pong')
  sendInFragments(pingOf(limits.messageBytes), 1000)
  assert.equal((await client.nextAnswer()).result, 'pong')
  sendInFragments(pingOf(limits.messageBytes + 1), 1000)
  assert.equal((await client.closed).code, 1009)
})

test('a message in countless fragments ends the connection', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const client = await server.connect()
  for (let sent = 0; sent <= 1024; sent++) client.socket.send('x', { fin: false })
  assert.equal((await client.closed).code, 1008)
})

test('binary frames end the connection, and say why', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const client = await server.connect()
  client.socket.send(Buffer.from('{"jsonrpc":"2.0","id":1,"method":"ping"}'), { binary: true })
  assert.deepEqual(await client.closed, { code: 1003, reason: 'text frames only' })
})

test('what breaks the WebSocket protocol ends the connection', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const notUtf8 = await server.connect()
  notUtf8.socket.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false })
  assert.equal((await notUtf8.closed).code, 1007)
  const unmasked = await server.connect()
  unmasked.socket.send('{}', { mask: false })
  assert.equal((await unmasked.closed).code, 1002)
})

test('calls beyond the burst are refused until there has been a pause', async () => {
  const clock = manualClock()
  await using server = await startWebSockets(new ScriptedChat(), { clock })
  const client = await server.connect()
  for (let call = 0; call < limits.callBurst; call++) assert.equal((await client.call('ping')).result, 'pong')
  const { id, error } = await client.call('ping')
  assert.equal(id, limits.callBurst + 1)
  assert.deepEqual([error?.code, error?.data?.code, error?.data?.retryable], [-32000, 'rate_limited', true])
  clock.advance(Number(error?.data?.retry_after_ms))
  assert.equal((await client.call('ping')).result, 'pong')
})

test('as many refused calls as the burst is long are borne, one more ends the connection', async () => {
  const clock = manualClock()
  await using server = await startWebSockets(new ScriptedChat(), { clock })
  const client = await server.connect()
  const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}'
  const batch = `[${Array.from({ length: limits.callsPerBatch }, () => ping).join(',')}]`
  for (let sent = 0; sent < 2 * limits.callBurst; sent += limits.callsPerBatch) client.socket.send(batch)
  let refused = 0
  for (let sent = 0; sent < 2 * limits.callBurst; sent += limits.callsPerBatch) {
    const answers = await client.nextAnswer<RpcAnswer[]>()
    refused += answers.filter(({ error }) => error?.data?.code === 'rate_limited').length
  }
  assert.equal(refused, limits.callBurst)
  client.socket.send('what is no call counts, too')
  assert.deepEqual(await client.closed, { code: 1008, reason: 'too many calls' })
})

test('a connection follows so many turns, and one more when one of them has ended', async () => {
  const chat = new ScriptedChat()
  await using server = await startWebSockets(chat)
  const client = await server.connect()
  for (let turn = 0; turn < limits.turnsAtOnce; turn++) {
    assert.equal((await client.call('chat', { message: 'hi' })).error, undefined)
  }
  const refused = await client.call('chat', { message: 'one too many' })
  assert.equal(refused.error?.data?.code, 'rate_limited')
  assert.equal(chat.started.length, limits.turnsAtOnce)
  const first = chat.started[0]?.turn.emit('turn.completed', {})
  await client.eventsOf(first?.id)
  assert.equal((await client.call('resume', { turn: chat.started[1]?.turn.id })).error, undefined)
})

test('a turn that could not be followed takes no place', async () => {
  const chat = new ScriptedChat()
  await using server = await startWebSockets(chat, { websocket: { turnsAtOnce: 1 } })
  const client = await server.connect()
  assert.equal((await client.call('resume', { turn: 'turn_unknown' })).error?.data?.code, 'turn_not_found')
  assert.equal((await client.call('chat', { message: '' })).error?.data?.code, 'invalid_request')
  assert.equal((await client.call('chat', { message: 'hi' })).error, undefined)
})

test('a silent peer is asked whether it is there, and dropped when it does not answer', async () => {
  const clock = manualClock()
  await using server = await startWebSockets(new ScriptedChat(), { clock })
  const alive = await server.connect()
  const gone = await server.connect({ autoPong: false })
  const pings = { alive: 0, gone: 0 }
  const pinged = Promise.withResolvers<void>()
  alive.socket.on('ping', () => pings.alive++)
  gone.socket.on('ping', () => {
    pings.gone++
    pinged.resolve()
  })
  clock.advance(heartbeatMs)
  await pinged.promise
  assert.equal((await alive.call('ping')).result, 'pong')
  clock.advance(heartbeatMs)
  assert.equal((await gone.closed).code, 1006)
  assert.equal((await alive.call('ping')).result, 'pong')
  assert.equal(pings.gone, 1)
  assert.equal(pings.alive, 2)
})

test('a peer that stops reading holds its turns back, and is cut off in the end', async () => {
  const clock = manualClock()
  const chat = new ScriptedChat()
  const turn = chat.open().emit('turn.started', {})
  const data = JSON.stringify({ text: 'x'.repeat(50_000) })
  let sent = 0
  let reading = true
  chat.read = async function* (_principal, _turn, _after, signal): AsyncGenerator<TurnEvent[]> {
    for (; !signal.aborted; await setImmediate()) yield [{ position: ++sent, type: 'token', data }]
    reading = false
  }
  await using server = await startWebSockets(chat, { clock })
  const client = await server.connect()
  client.socket.pause()
  client.socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'resume', params: { turn: turn.id } }))
  for (let [before, quiet] = [0, 0]; quiet < 5; await sleep(20)) {
    quiet = sent > 0 && sent === before ? quiet + 1 : 0
    before = sent
  }
  clock.advance(limits.slowConsumerMs)
  const held = sent
  await sleep(20)
  assert.deepEqual([sent, reading], [held, true])
  clock.advance(heartbeatMs / 3 + 250)
  for (; reading; await setImmediate());
  client.socket.resume()
  assert.deepEqual(await client.closed, { code: 1013, reason: 'slow consumer' })
  assert.ok(client.notifications.length >= held)
})

test('a peer that reads again in time goes on where it was', async () => {
  const clock = manualClock()
  const chat = new ScriptedChat()
  const turn = chat.open()
  const text = 'x'.repeat(100_000)
  for (let event = 0; event < 200; event++) turn.emit('token', { text: `${event}${text}` })
  turn.emit('turn.completed', {})
  await using server = await startWebSockets(chat, { clock })
  const client = await server.connect()
  client.socket.pause()
  client.socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'resume', params: { turn: turn.id } }))
  await sleep(100)
  clock.advance(limits.slowConsumerMs)
  client.socket.resume()
  const events = await client.eventsOf(turn.id)
  assert.deepEqual(
    events.map(({ id }) => id),
    Array.from({ length: 201 }, (_, position) => `${turn.id}.${position}`),
  )
})

test('a connection ends with the credential of its caller', async () => {
  const clock = manualClock()
  const until = clock.now() + 10_000
  await using server = await startWebSockets(new ScriptedChat(), {
    clock,
    authenticate: () => ({ principal: caller, until }),
  })
  const client = await server.connect()
  clock.advance(9_000)
  assert.equal((await client.call('ping')).result, 'pong')
  clock.advance(6_000)
  assert.deepEqual(await client.closed, { code: 1008, reason: 'credential expired' })
})
