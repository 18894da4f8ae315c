import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { manualClock } from '../../../test/support/clock.ts'
import { ask, rawAsk, startSurface } from '../../../test/support/completions.ts'
import type { ScriptedTurn } from '../../../test/support/scripted-chat.ts'
import { RelayingChat } from '../../../test/support/scripted-relay.ts'
import { playWithAction, receipt, segment } from '../../../test/support/turn-script.ts'

interface Body {
  choices: { message: Record<string, unknown>; finish_reason: string }[]
  parley?: unknown
}

test('a turn that is not streamed comes as one completion once it has ended', async () => {
  const chat = new RelayingChat(playWithAction)
  const clock = manualClock(1_800_000_000_999)
  await using transport = await startSurface(chat, { clock })
  const response = await ask(transport.url, { model: 'helper' })
  const turn = chat.started[0]?.turn.id
  assert.equal(response.headers.get('x-parley-turn'), turn)
  assert.equal(response.headers.get('x-parley-model'), 'primary')
  assert.equal(response.headers.get('x-parley-config'), 'v001')
  assert.deepEqual(await response.json(), {
    id: turn,
    object: 'chat.completion',
    created: 1_800_000_000,
    model: 'helper',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'Let me see. It is 42.', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 20, completion_tokens: 10, total_tokens: 30, prompt_tokens_details: { cached_tokens: 8 } },
  })
  assert.deepEqual(chat.cancelled, [])
})

test('calls of the caller’s own tools are returned, with what was said before or without content', async () => {
  const toolCalls = [{ id: 'a', type: 'function', function: { name: 'mine', arguments: '{}' } }]
  for (const text of ['', 'Wait.']) {
    const chat = new RelayingChat((turn) => {
      if (text) turn.emit('token', { text })
      turn.emit('turn.completed', { finish: 'tool_calls', toolCalls, receipt: receipt(turn) })
    })
    await using transport = await startSurface(chat)
    const { choices } = (await (await ask(transport.url, { model: 'helper' })).json()) as Body
    assert.equal(choices[0]?.finish_reason, 'tool_calls')
    assert.deepEqual(choices[0]?.message, {
      role: 'assistant',
      content: text || null,
      refusal: null,
      tool_calls: toolCalls,
    })
  }
})

test('what started over is left out, the models that failed are named', async () => {
  const chat = new RelayingChat((turn) => {
    turn.emit('token', { text: 'one' })
    turn.emit('segment', { model: 'backup', reason: 'stalled', reset: true })
    turn.view.text = ''
    turn.emit('token', { text: 'two' })
    const segments = [segment({ outcome: 'failed', reason: 'stalled' }), segment({ model: 'backup' })]
    turn.emit('turn.completed', { finish: 'length', receipt: receipt(turn, segments) })
  })
  await using transport = await startSurface(chat)
  const response = await ask(transport.url, { model: 'helper' })
  const body = (await response.json()) as Body
  assert.equal(body.choices[0]?.message.content, 'two')
  assert.equal(body.choices[0]?.finish_reason, 'length')
  assert.equal(response.headers.get('x-parley-model'), 'backup')
  assert.deepEqual(body.parley, { failovers: [{ model: 'primary', reason: 'stalled' }], cost_usd: 0.002 })
})

test('a turn that fails or is cancelled is an error, whatever was said', async () => {
  for (const [type, status, shouldRetry] of [
    ['turn.failed', 502, 'true'],
    ['turn.cancelled', 409, 'false'],
  ] as const) {
    const chat = new RelayingChat((turn) => {
      turn.emit('token', { text: 'half' })
      turn.emit(type, { error: { code: 'model_failed', message: 'It failed.' }, receipt: receipt(turn) })
    })
    await using transport = await startSurface(chat)
    const response = await ask(transport.url, { model: 'helper' })
    assert.equal(response.status, status)
    assert.equal(response.headers.get('x-should-retry'), shouldRetry)
  }
})

test('a failure of unknown kind is a fault of ours', async () => {
  const chat = new RelayingChat((turn) => turn.emit('turn.failed', { error: { code: 'of_later', message: '?' } }))
  await using transport = await startSurface(chat)
  assert.equal((await ask(transport.url, { model: 'helper' })).status, 500)
})

test('a caller that leaves cancels the turn', async () => {
  const opened = Promise.withResolvers<ScriptedTurn>()
  const chat = new RelayingChat(opened.resolve)
  await using transport = await startSurface(chat)
  const client = transport.raw().send(rawAsk({ model: 'helper', stream: false }))
  const turn = (await opened.promise).emit('token', { text: 'half' })
  while (turn.readers === 0) await setImmediate()
  client.destroy()
  while (turn.readers > 0 || chat.cancelled.length === 0) await setImmediate()
  assert.deepEqual(chat.cancelled, [turn.id])
  assert.deepEqual(transport.logged, [])
})
