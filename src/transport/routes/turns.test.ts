import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { ScriptedChat, type ScriptedTurn } from '../../../test/support/scripted-chat.ts'
import { startTransport } from '../../../test/support/transport-server.ts'
import { defaultLimits } from '../limits.ts'
import type { Routes } from '../routing.ts'
import { turnRoutes } from './turns.ts'

const start = (chat: ScriptedChat) =>
  startTransport((server, log) => turnRoutes(server as unknown as Routes, { chat, log, limits: defaultLimits }))

const say = (message: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify({ message }),
})

const streamed = { accept: 'text/event-stream' }
const path = '/api/v1/conversations/conv_1/turns'
const errorOf = async (response: Response) => ((await response.json()) as { error: Record<string, unknown> }).error

const failed = (code: string) => (turn: ScriptedTurn) => {
  turn.emit('turn.started', {}).emit('turn.failed', { error: { code, message: 'It did not work.' } })
}

test('streams the events as they are in the log, with the turn and its config in the headers', async () => {
  const chat = new ScriptedChat((turn) =>
    turn
      .emit('turn.started', { a: 1 })
      .emit('token', { text: 'grüße\n\n👋' })
      .emit('turn.completed', { finish: 'stop' }),
  )
  await using transport = await start(chat)
  const response = await fetch(transport.url + path, say('hi', streamed))
  const id = chat.started[0]?.turn.id
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('x-parley-turn'), id)
  assert.equal(response.headers.get('x-parley-config'), 'v001')
  assert.equal(response.headers.get('location'), `/api/v1/turns/${id}`)
  assert.equal(
    (await response.text()).replace(/^retry: \d+\n\n/, ''),
    [
      `id: ${id}.0\nevent: turn.started\ndata: {"a":1}\n\n`,
      `id: ${id}.1\nevent: token\ndata: {"text":"grüße\\n\\n👋"}\n\n`,
      `id: ${id}.2\nevent: turn.completed\ndata: {"finish":"stop"}\n\n`,
    ].join(''),
  )
})

test('an event without a position has no id, so that a reconnect asks for it again', async () => {
  const chat = new ScriptedChat((turn) => turn.emitProvisional('token', { text: 'a' }).emit('turn.completed', {}))
  await using transport = await start(chat)
  const text = await (await fetch(transport.url + path, say('hi', streamed))).text()
  assert.match(text, /^retry: \d+\n\nevent: token\ndata: \{"text":"a"\}\n\nid: turn_/)
})

test('JSON waits for the end and answers the turn', async () => {
  const chat = new ScriptedChat((turn) => {
    turn.emit('turn.started', {}).emit('token', { text: 'Hello' })
    setTimeout(() => turn.emit('token', { text: ' there' }).emit('turn.completed', {}), 20)
  })
  await using transport = await start(chat)
  const response = await fetch(transport.url + path, say('hi'))
  const turn = chat.started[0]?.turn
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('x-parley-turn'), turn?.id)
  assert.deepEqual(await response.json(), turn?.view)
  assert.equal(turn?.view.text, 'Hello there')
  assert.equal(turn?.view.status, 'completed')
})

test('respond-async answers 202 at once and says where to look', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('turn.started', {}))
  await using transport = await start(chat)
  for (const prefer of ['respond-async', 'wait=5, Respond-Async; x=y']) {
    const response = await fetch(transport.url + path, say('hi', { prefer }))
    const id = chat.started.at(-1)?.turn.id
    assert.equal(response.status, 202)
    assert.equal(response.headers.get('location'), `/api/v1/turns/${id}`)
    assert.equal(response.headers.get('preference-applied'), 'respond-async')
    assert.equal(((await response.json()) as { status: string }).status, 'running')
  }
})

test('a turn that failed before it said anything answers JSON with the status of its error', async () => {
  const cases = {
    models_unavailable: 503,
    context_overflow: 400,
    model_timeout: 504,
    content_filtered: 400,
    nonsense: 500,
  }
  for (const [code, status] of Object.entries(cases)) {
    const chat = new ScriptedChat(failed(code))
    await using transport = await start(chat)
    const response = await fetch(transport.url + path, say('hi'))
    assert.equal(response.status, status, code)
    assert.equal(response.headers.get('x-parley-turn'), chat.started[0]?.turn.id)
    assert.equal((await errorOf(response)).code, code === 'nonsense' ? 'internal' : code)
  }
})

test('a turn that failed after visible text is an answer that says so', async () => {
  const chat = new ScriptedChat((turn) => {
    turn.emit('token', { text: 'So far' })
    failed('model_interrupted')(turn)
  })
  await using transport = await start(chat)
  const response = await fetch(transport.url + path, say('hi'))
  assert.equal(response.status, 200)
  const view = (await response.json()) as Record<string, unknown>
  assert.equal(view.status, 'failed')
  assert.equal(view.text, 'So far')
  assert.deepEqual(view.error, { code: 'model_interrupted', message: 'It did not work.' })
})

test('what refuses the start answers with its status, on both forms', async () => {
  const chat = new ScriptedChat()
  await using transport = await start(chat)
  chat.refusal = new ParleyError('turn_in_progress', { retryAfterMs: 3000 })
  for (const headers of [{}, streamed]) {
    const response = await fetch(transport.url + path, say('hi', headers))
    assert.equal(response.status, 409)
    assert.equal(response.headers.get('retry-after'), '3')
    assert.equal((await errorOf(response)).code, 'turn_in_progress')
  }
})

test('a fault while the log is read ends the stream with a notice', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('turn.started', {}).fail(new ParleyError('state_unavailable')))
  await using transport = await start(chat)
  const text = await (await fetch(transport.url + path, say('hi', streamed))).text()
  assert.match(text, /event: notice\ndata: \{"code":"state_unavailable","message":"[^"]+"\}\n\n$/)
  assert.deepEqual(transport.logged, [])
})

test('a bug while the log is read is told without its details, and logged', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('turn.started', {}).fail(new Error('private detail')))
  await using transport = await start(chat)
  const text = await (await fetch(transport.url + path, say('hi', streamed))).text()
  assert.match(text, /event: notice\ndata: \{"code":"internal"/)
  assert.doesNotMatch(text, /private/)
  assert.match(JSON.stringify(transport.logged), /private detail/)
})

test('a reader that leaves stops reading and leaves the turn alone', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('turn.started', {}))
  await using transport = await start(chat)
  for (const headers of [{}, streamed]) {
    const leave = new AbortController()
    const reading = fetch(transport.url + path, { ...say('hi', headers), signal: leave.signal }).then((r) => r.text())
    const turn = () => chat.started.at(-1)?.turn
    while (turn()?.readers !== 1) await sleep(5)
    leave.abort()
    await assert.rejects(reading, { name: 'AbortError' })
    while (turn()?.readers !== 0) await sleep(5)
    assert.equal(turn()?.view.status, 'running')
  }
  assert.deepEqual(chat.cancelled, [])
})

test('the same Idempotency-Key replays the turn from its start', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('token', { text: 'a' }).emit('turn.completed', {}))
  await using transport = await start(chat)
  const ask = async () =>
    (await fetch(transport.url + path, say('hi', { ...streamed, 'idempotency-key': 'k 1' }))).text()
  const replayed = (text: string) => text.replace(/^retry: \d+\n\n/, '')
  assert.equal(replayed(await ask()), replayed(await ask()))
  assert.equal(chat.started.length, 1)
  assert.equal(chat.started[0]?.request.idempotencyKey, 'k 1')
})

test('an Idempotency-Key has 1 to 255 printable characters', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('turn.completed', {}))
  await using transport = await start(chat)
  for (const key of ['', 'ü', 'x'.repeat(256), 'a\tb']) {
    const response = await fetch(transport.url + path, say('hi', { 'idempotency-key': key }))
    assert.equal(response.status, 400, JSON.stringify(key))
    assert.equal((await errorOf(response)).param, 'idempotency-key')
  }
  for (const key of ['x', '~'.repeat(255)]) {
    assert.equal((await fetch(transport.url + path, say('hi', { 'idempotency-key': key }))).status, 200)
  }
})

test('messages are taken up to 128 KiB of UTF-8, and have to say something', async () => {
  const chat = new ScriptedChat((turn) => turn.emit('turn.completed', {}))
  await using transport = await start(chat)
  const atLimit = 'ü'.repeat(65_536)
  assert.equal((await fetch(transport.url + path, say(atLimit))).status, 200)
  const cases: [message: unknown, status: number, code: string][] = [
    [`${atLimit}a`, 413, 'message_too_large'],
    ['', 400, 'invalid_request'],
    [' \n\t', 400, 'invalid_request'],
    ['a\u0000b', 400, 'invalid_request'],
    ['half \ud83d', 400, 'invalid_request'],
    [7, 400, 'invalid_request'],
    [null, 400, 'invalid_request'],
    [undefined, 400, 'invalid_request'],
    [['hi'], 400, 'invalid_request'],
  ]
  for (const [message, status, code] of cases) {
    const response = await fetch(transport.url + path, say(message))
    assert.equal(response.status, status)
    const error = await errorOf(response)
    assert.deepEqual([error.code, error.param], [code, 'message'])
  }
  assert.equal(chat.started.length, 1)
})

test('what accepts neither events nor JSON is refused before a turn is started', async () => {
  const chat = new ScriptedChat()
  await using transport = await start(chat)
  const response = await fetch(transport.url + path, say('hi', { accept: 'text/html' }))
  assert.equal(response.status, 406)
  assert.equal((await errorOf(response)).code, 'not_acceptable')
  assert.equal(chat.started.length, 0)
})

test('a stream is resumed after the last event id, or after a position', async () => {
  const chat = new ScriptedChat()
  const turn = chat.open().emit('turn.started', {}).emit('token', { text: 'a' }).emit('token', { text: 'b' })
  turn.emit('turn.completed', {})
  await using transport = await start(chat)
  const url = `${transport.url}/api/v1/turns/${turn.id}/stream`
  const idsOf = async (response: Response) =>
    [...(await response.text()).matchAll(/^id: (.*)$/gm)].map(([, id]) => Number(id?.split('.')[1]))
  assert.deepEqual(await idsOf(await fetch(url)), [0, 1, 2, 3])
  assert.deepEqual(await idsOf(await fetch(url, { headers: { 'last-event-id': `${turn.id}.1` } })), [2, 3])
  assert.deepEqual(await idsOf(await fetch(`${url}?after=2`)), [3])
  assert.deepEqual(await idsOf(await fetch(`${url}?after=${turn.id}.0`)), [1, 2, 3])
  assert.deepEqual(await idsOf(await fetch(`${url}?after=0`, { headers: { 'last-event-id': `${turn.id}.2` } })), [3])
  const resumed = await fetch(url)
  assert.equal(resumed.headers.get('x-parley-turn'), turn.id)
  assert.equal(resumed.headers.get('x-parley-config'), 'v001')
  await resumed.body?.cancel()
})

test('after the terminal event there is no content; beyond it, or in another turn, no position', async () => {
  const chat = new ScriptedChat()
  const turn = chat.open().emit('turn.started', {}).emit('turn.completed', {})
  const running = chat.open().emit('turn.started', {})
  await using transport = await start(chat)
  const ask = (id: string, lastEventId: string) =>
    fetch(`${transport.url}/api/v1/turns/${id}/stream`, { headers: { 'last-event-id': lastEventId } })
  const over = await ask(turn.id, `${turn.id}.1`)
  assert.equal(over.status, 204)
  assert.equal(await over.text(), '')
  for (const [id, position] of [
    [turn.id, `${turn.id}.2`],
    [turn.id, `${running.id}.0`],
    [running.id, `${running.id}.1`],
    [turn.id, 'nonsense'],
  ] as const) {
    const response = await ask(id, position)
    assert.equal(response.status, 400)
    assert.equal((await errorOf(response)).code, 'bad_position')
  }
  assert.equal((await ask('turn_unknown', '')).status, 404)
})

test('a stream endpoint answers whole where no event stream is accepted', async () => {
  const chat = new ScriptedChat()
  const turn = chat.open().emit('token', { text: 'Hello' })
  await using transport = await start(chat)
  setTimeout(() => turn.emit('turn.completed', {}), 20)
  const url = `${transport.url}/api/v1/turns/${turn.id}/stream`
  const response = await fetch(url, { headers: { accept: 'application/json' } })
  assert.deepEqual(await response.json(), turn.view)
  assert.equal(turn.view.status, 'completed')
})

test('HEAD on a stream has its headers and reads nothing', async () => {
  const chat = new ScriptedChat()
  const turn = chat.open().emit('turn.started', {})
  await using transport = await start(chat)
  const response = await fetch(`${transport.url}/api/v1/turns/${turn.id}/stream`, { method: 'HEAD' })
  assert.equal(response.status, 200)
  assert.match(String(response.headers.get('content-type')), /^text\/event-stream/)
  assert.equal(turn.readers, 0)
})

test('cancel is accepted while a turn runs, and refused afterwards', async () => {
  const chat = new ScriptedChat()
  const turn = chat.open()
  await using transport = await start(chat)
  const cancel = (id: string) => fetch(`${transport.url}/api/v1/turns/${id}/cancel`, { method: 'POST' })
  const accepted = await cancel(turn.id)
  assert.equal(accepted.status, 202)
  assert.deepEqual(await accepted.json(), { id: turn.id })
  assert.deepEqual(chat.cancelled, [turn.id])
  turn.emit('turn.cancelled', {})
  assert.equal((await cancel(turn.id)).status, 409)
  assert.equal((await cancel('turn_unknown')).status, 404)
})

test('feedback is kept once a turn has ended', async () => {
  const chat = new ScriptedChat()
  const turn = chat.open()
  await using transport = await start(chat)
  const give = (feedback: unknown) =>
    fetch(`${transport.url}/api/v1/turns/${turn.id}/feedback`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(feedback),
    })
  assert.equal((await give({ rating: 'up' })).status, 409)
  turn.emit('turn.completed', {})
  const given = await give({ rating: 'down', comment: 'Wrong\nfigure' })
  assert.equal(given.status, 204)
  assert.deepEqual(turn.view.feedback, { rating: 'down', comment: 'Wrong\nfigure' })
  const refused: [feedback: unknown, param: string | null][] = [
    [{}, 'rating'],
    [{ rating: 'sideways' }, 'rating'],
    [{ rating: 'up', stars: 5 }, 'stars'],
    [{ rating: 'up', comment: 'x'.repeat(4001) }, 'comment'],
    [{ rating: 'up', comment: 'a\u0007' }, 'comment'],
  ]
  for (const [feedback, param] of refused) {
    const response = await give(feedback)
    assert.equal(response.status, 400)
    assert.equal((await errorOf(response)).param, param)
  }
})
