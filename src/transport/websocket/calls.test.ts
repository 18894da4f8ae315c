import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import type { RpcAnswer } from '../../../test/support/rpc-client.ts'
import { ScriptedChat } from '../../../test/support/scripted-chat.ts'
import { startWebSockets } from '../../../test/support/web-socket-server.ts'

const codeOf = ({ error }: RpcAnswer) => [error?.code, error?.data?.code]

test('a chat is answered with its turn at once, and its events follow in order', async () => {
  const chat = new ScriptedChat((turn) =>
    turn
      .emit('turn.started', { a: 1 })
      .emit('token', { text: 'grüße\n"👋"' })
      .emitProvisional('token', { text: '!' })
      .emit('turn.completed', { finish: 'stop' }),
  )
  await using server = await startWebSockets(chat)
  const client = await server.connect()
  const arrived: string[] = []
  client.socket.on('message', (data) => arrived.push(String(data)))
  const { result } = await client.call('chat', { message: 'hi' })
  const turn = chat.started[0]?.turn.id
  assert.deepEqual(result, {
    turn,
    conversation: chat.started[0]?.turn.view.conversation,
    config: 'v001',
    arm: 'stable',
  })
  await client.eventsOf(turn)
  const frame = (id: string, event: string, data: string) =>
    `{"jsonrpc":"2.0","method":"turn.event","params":{"turn":"${turn}","id":${id},"event":"${event}","data":${data}}}`
  assert.deepEqual(arrived.slice(1), [
    frame(`"${turn}.0"`, 'turn.started', '{"a":1}'),
    frame(`"${turn}.1"`, 'token', String.raw`{"text":"grüße\n\"👋\""}`),
    frame('null', 'token', '{"text":"!"}'),
    frame(`"${turn}.3"`, 'turn.completed', '{"finish":"stop"}'),
  ])
  assert.match(arrived[0] ?? '', /^\{"jsonrpc":"2.0","id":1,"result":/)
})

test('a connection begins one conversation when first needed, and stays in it', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('turn.completed', {}))
  await using server = await startWebSockets(chat)
  const client = await server.connect()
  assert.deepEqual(chat.begun, [])
  const first = await client.call('chat', { message: 'one' })
  const second = await client.call('chat', { message: 'two' })
  const named = await client.call('chat', { message: 'three', conversation: 'conv_other' })
  const third = await client.call('chat', { message: 'four' })
  const { conversation } = first.result ?? {}
  assert.match(String(conversation), /^conv_/)
  assert.deepEqual(
    [second, named, third].map(({ result }) => result?.conversation),
    [conversation, 'conv_other', conversation],
  )
  assert.deepEqual(chat.begun, [{ specialist: 'plain' }])
})

test('a conversation that could not be begun is tried again with the next chat', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('turn.completed', {}))
  await using server = await startWebSockets(chat)
  const client = await server.connect()
  chat.failingConversations = 1
  assert.deepEqual(codeOf(await client.call('chat', { message: 'one' })), [-32000, 'state_unavailable'])
  assert.equal((await client.call('chat', { message: 'two' })).error, undefined)
})

test('the same idempotency key gives the same turn', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('turn.completed', {}))
  await using server = await startWebSockets(chat)
  const client = await server.connect()
  const params = { message: 'hi', conversation: 'conv_1', idempotencyKey: 'key 1' }
  const first = await client.call('chat', params)
  await client.eventsOf(first.result?.turn)
  assert.deepEqual((await (await server.connect()).call('chat', params)).result, first.result)
  assert.equal(chat.started.length, 1)
  assert.equal(chat.started[0]?.request.idempotencyKey, 'key 1')
})

test('a turn is resumed after a position, after an event id, or from its start', async () => {
  const chat = new ScriptedChat()
  await using server = await startWebSockets(chat)
  const turn = chat.open({ conversation: 'conv_1' }).emit('turn.started', {}).emit('token', { text: 'a' })
  const readers = await Promise.all(
    [{}, { after: -1 }, { after: 0 }, { lastEventId: `${turn.id}.1` }].map(async (from) => {
      const client = await server.connect()
      const { result } = await client.call('resume', { turn: turn.id, ...from })
      assert.deepEqual(result, {
        turn: turn.id,
        conversation: 'conv_1',
        config: 'v001',
        arm: 'stable',
        status: 'running',
      })
      return client
    }),
  )
  turn.emit('token', { text: 'b' }).emit('turn.completed', {})
  const seen = await Promise.all(readers.map((client) => client.eventsOf(turn.id)))
  assert.deepEqual(
    seen.map((events) => events.map(({ id }) => Number(id?.split('.')[1]))),
    [
      [0, 1, 2, 3],
      [0, 1, 2, 3],
      [1, 2, 3],
      [2, 3],
    ],
  )
})

test('resuming a turn that has ended says so, also when nothing is left to send', async () => {
  const chat = new ScriptedChat()
  await using server = await startWebSockets(chat)
  const turn = chat.open().emit('turn.started', {}).emit('turn.cancelled', {})
  const client = await server.connect()
  const { result } = await client.call('resume', { turn: turn.id, after: 1 })
  assert.equal(result?.status, 'cancelled')
  assert.equal((await client.call('ping')).result, 'pong')
  assert.deepEqual(client.notifications, [])
})

test('resuming a turn that the connection follows goes on in one voice', async () => {
  const chat = new ScriptedChat()
  await using server = await startWebSockets(chat)
  const turn = chat.open().emit('turn.started', {})
  const client = await server.connect()
  await client.call('resume', { turn: turn.id })
  await client.eventsOf(turn.id, (event) => event === 'turn.started')
  await client.call('resume', { turn: turn.id, after: 0 })
  turn.emit('token', { text: 'a' }).emit('turn.completed', {})
  const events = await client.eventsOf(turn.id)
  assert.deepEqual(
    events.map(({ event }) => event),
    ['turn.started', 'token', 'turn.completed'],
  )
})

test('cancel reaches the turn', async () => {
  const chat = new ScriptedChat()
  await using server = await startWebSockets(chat)
  const turn = chat.open()
  const client = await server.connect()
  assert.deepEqual((await client.call('cancel', { turn: turn.id })).result, { turn: turn.id })
  assert.deepEqual(chat.cancelled, [turn.id])
  turn.emit('turn.cancelled', {})
  assert.deepEqual(codeOf(await client.call('cancel', { turn: turn.id })), [-32000, 'turn_finished'])
})

test('parameters that are wrong are named', async () => {
  const chat = new ScriptedChat()
  const turn = chat.open().emit('turn.started', {})
  await using server = await startWebSockets(chat, { websocket: { callBurst: 100 } })
  const client = await server.connect()
  const cases: [method: string, params: object | undefined, param: string | null][] = [
    ['chat', undefined, 'message'],
    ['chat', {}, 'message'],
    ['chat', ['hi'], null],
    ['chat', { message: 1 }, 'message'],
    ['chat', { message: '' }, 'message'],
    ['chat', { message: ' \n' }, 'message'],
    ['chat', { message: 'a\u0000' }, 'message'],
    ['chat', { message: '\ud800' }, 'message'],
    ['chat', { message: 'a', more: 1 }, 'more'],
    ['chat', { message: 'a', conversation: 7 }, 'conversation'],
    ['chat', { message: 'a', idempotencyKey: '' }, 'idempotencyKey'],
    ['chat', { message: 'a', idempotencyKey: 'ü' }, 'idempotencyKey'],
    ['resume', {}, 'turn'],
    ['resume', { turn: turn.id, after: -2 }, 'after'],
    ['resume', { turn: turn.id, after: 0.5 }, 'after'],
    ['resume', { turn: turn.id, after: '0' }, 'after'],
    ['resume', { turn: turn.id, after: 0, lastEventId: `${turn.id}.0` }, null],
    ['cancel', { turn: 'x'.repeat(201) }, 'turn'],
  ]
  for (const [method, params, param] of cases) {
    const { error } = await client.call(method, params)
    const found = [error?.code, error?.data?.code, error?.data?.param]
    assert.deepEqual(found, [-32602, 'invalid_request', param], `${method} ${JSON.stringify(params)}`)
  }
  assert.deepEqual([chat.started, chat.begun], [[], []])
})

test('what the catalogue of errors names arrives with its code, and whether to try again', async () => {
  const chat = new ScriptedChat()
  const turn = chat.open().emit('turn.started', {})
  await using server = await startWebSockets(chat)
  const client = await server.connect()
  const cases: [method: string, params: object, code: string][] = [
    ['chat', { message: 'x'.repeat(131_073) }, 'message_too_large'],
    ['resume', { turn: 'turn_unknown' }, 'turn_not_found'],
    ['resume', { turn: turn.id, after: 1 }, 'bad_position'],
    ['resume', { turn: turn.id, lastEventId: 'x' }, 'bad_position'],
    ['resume', { turn: turn.id, lastEventId: 'turn_other.0' }, 'bad_position'],
    ['cancel', { turn: 'turn_unknown' }, 'turn_not_found'],
  ]
  for (const [method, params, code] of cases) {
    assert.deepEqual(codeOf(await client.call(method, params)), [-32000, code])
  }
  chat.refusal = new ParleyError('overloaded', { retryAfterMs: 1500 })
  const { error } = await client.call('chat', { message: 'hi' })
  const { request_id: requestId, ...data } = error?.data ?? {}
  assert.deepEqual(data, {
    code: 'overloaded',
    type: 'server_error',
    param: null,
    retryable: true,
    retry_after_ms: 1500,
  })
  assert.match(String(requestId), /^req_[0-9a-f]{32}$/)
})

test('a bug is an internal error without its details, which are logged', async () => {
  const chat = new ScriptedChat()
  chat.cancel = () => Promise.reject(new Error('secret detail'))
  await using server = await startWebSockets(chat)
  const client = await server.connect()
  const { error } = await client.call('cancel', { turn: 'turn_1' })
  assert.deepEqual([error?.code, error?.data?.code], [-32603, 'internal'])
  assert.doesNotMatch(JSON.stringify(error), /secret/)
  assert.equal(server.logged.length, 1)
  assert.equal(server.logged[0]?.requestId, error?.data?.request_id)
})

test('methods that are not there are not found, the inherited ones of objects among them', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const client = await server.connect()
  for (const method of ['undo', 'Chat', '', 'constructor', '__proto__', 'toString', 'rpc.discover']) {
    const { error } = await client.call(method)
    assert.deepEqual(error, { code: -32601, message: 'Method not found' })
  }
})

test('what is no call is answered by the standard, and the connection goes on', async () => {
  await using server = await startWebSockets(new ScriptedChat())
  const client = await server.connect()
  for (const text of ['', 'ping', '{"jsonrpc":"2.0","id":1', '['.repeat(10_000)]) {
    const { id, error } = await client.ask(text)
    assert.deepEqual([id, error?.code], [null, -32700])
  }
  for (const text of ['[]', '1', '{"jsonrpc":"1.0","id":null,"method":"ping"}', '['.repeat(9999) + ']'.repeat(9999)]) {
    const answer = await client.ask(text)
    const { id, error } = Array.isArray(answer) ? answer[0] : answer
    assert.deepEqual([id, error?.code], [null, -32600])
  }
  assert.equal((await client.call('ping')).result, 'pong')
})

test('notifications are carried out and never answered', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('turn.completed', {}))
  await using server = await startWebSockets(chat)
  const client = await server.connect()
  for (const method of ['ping', 'nothing', 'cancel']) client.socket.send(`{"jsonrpc":"2.0","method":"${method}"}`)
  client.socket.send('[{"jsonrpc":"2.0","method":"ping"},{"jsonrpc":"2.0","method":"nothing"}]')
  client.socket.send('{"jsonrpc":"2.0","method":"chat","params":{"message":"hi"}}')
  const { params } = await client.nextNotification('turn.event')
  assert.equal(params.turn, chat.started[0]?.turn.id)
  assert.equal((await client.call('ping')).id, 1)
})

test('a batch is answered as one, its notifications left out, and its turns follow the answer', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('turn.completed', {}))
  await using server = await startWebSockets(chat, { websocket: { callsPerBatch: 4 } })
  const client = await server.connect()
  const call = (id: number | undefined, method: string, params?: object) => ({ jsonrpc: '2.0', id, method, params })
  const arrived: string[] = []
  client.socket.on('message', (data) => arrived.push(String(data)))
  const batch = [call(1, 'chat', { message: 'hi' }), call(undefined, 'ping'), 7, call(2, 'ping')]
  client.socket.send(JSON.stringify(batch))
  const answers = await client.nextAnswer<RpcAnswer[]>()
  assert.deepEqual(
    answers.map(({ id, result, error }) => [id, error?.code ?? (result === undefined ? 'nothing' : 'result')]),
    [
      [1, 'result'],
      [null, -32600],
      [2, 'result'],
    ],
  )
  await client.eventsOf(answers[0]?.result?.turn)
  assert.equal(arrived.length, 2)
  assert.ok(arrived[0]?.startsWith('['))
  const tooMany = await client.ask(JSON.stringify([...batch, call(3, 'ping')]))
  assert.deepEqual([tooMany.id, tooMany.error?.code], [null, -32600])
})
