import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { modelsAtHand } from '../../test/support/models-at-hand.ts'
import { candidate } from '../../test/support/scripted-provider.ts'
import type { Vetoes } from './answer.ts'

const first = candidate('first')
const second = candidate('second')
const instructed = candidate('instructed', { continuation: 'instructed' })

const code = (expected: string) => (error: unknown) => {
  assert.equal(error instanceof ParleyError ? error.code : error, expected)
  return true
}

test('when all fail the error says how', async () => {
  const silent = modelsAtHand()
  const failed = silent.ask([first, second])
  ;(await silent.script.opened(1)).refuse(500)
  ;(await silent.script.opened(2)).fail('connect_failed')
  await assert.rejects(failed.answer, code('model_failed'))

  const slow = modelsAtHand()
  const late = slow.ask([first])
  await slow.script.opened(1)
  slow.clock.advance(5000)
  await assert.rejects(late.answer, code('model_timeout'))

  const locked = modelsAtHand()
  const misconfigured = locked.ask([first, second])
  ;(await locked.script.opened(1)).refuse(401)
  ;(await locked.script.opened(2)).refuse(404)
  await assert.rejects(misconfigured.answer, code('model_misconfigured'))

  const visible = modelsAtHand()
  const interrupted = visible.ask([first, second])
  const call = await visible.script.opened(1)
  call.text('Hello')
  call.fail('cut_off')
  ;(await visible.script.opened(2)).refuse(500)
  await assert.rejects(interrupted.answer, code('model_interrupted'))
  assert.equal(interrupted.sink.segments.length, 2)

  await assert.rejects(modelsAtHand().ask([]).answer, code('models_unavailable'))
})

test('a request that is at fault is not put to another model', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer } = ask([first, second])
  const body = JSON.stringify({ error: { message: 'Too hot.', param: 'temperature' } })
  ;(await script.opened(1)).refuse(400, { body })
  await assert.rejects(answer, (error: ParleyError) => {
    assert.deepEqual([error.code, error.message, error.param], ['provider_rejected', 'Too hot.', 'temperature'])
    return true
  })
  assert.equal(script.calls.length, 1)
  assert.deepEqual(sink.events, ['ended first failed'])

  const filtered = ask([first, second])
  ;(await script.opened(2)).refuse(400, { body: '{"error":{"code":"content_filter"}}' })
  await assert.rejects(filtered.answer, code('content_filtered'))
})

test('a prompt that fits no window is told; one that fits another goes there', async () => {
  const { ask, script } = modelsAtHand()
  const messages = (narrow: string[]) => (model: { name: string }) => {
    if (narrow.includes(model.name)) throw new ParleyError('context_overflow')
    return []
  }
  const { answer, sink } = ask([first, second], { messages: messages(['first']) })
  const call = await script.opened(1)
  assert.equal(call.spec, second.spec)
  call.complete()
  assert.equal((await answer).model, 'second')
  assert.equal(sink.segments.length, 1)
  await assert.rejects(
    ask([first, second], { messages: messages(['first', 'second']) }).answer,
    code('context_overflow'),
  )
  const broken = () => {
    throw new TypeError('broken')
  }
  await assert.rejects(ask([first], { messages: broken }).answer, TypeError)
})

test('a structured answer is never continued, but may be begun elsewhere while nothing is visible', async () => {
  const { ask, script } = modelsAtHand()
  const parameters = { response_format: { type: 'json_object' } }
  const { answer } = ask([first, second], { parameters })
  const call = await script.opened(1)
  call.text('{"a":')
  call.fail('cut_off')
  await assert.rejects(answer, code('model_interrupted'))
  assert.equal(script.calls.length, 1)

  const silent = ask([first, second], { parameters })
  ;(await script.opened(2)).refuse(500)
  ;(await script.opened(3)).complete()
  assert.equal((await silent.answer).model, 'second')

  const plain = ask([first, second], { parameters: { response_format: { type: 'text' } } })
  const half = await script.opened(4)
  half.text('Hello')
  half.fail('cut_off')
  ;(await script.opened(5)).complete()
  assert.equal((await plain.answer).text, 'Hello')
  await assert.rejects(ask([first], { parameters, visible: '{' }).answer, code('model_interrupted'))
})

test('aborting reaches the provider at once, is metered, and rejects with its reason', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer, abort } = ask([first, second])
  const call = await script.opened(1)
  call.text('Hello')
  abort.abort('stop')
  assert.equal(call.aborted, true)
  await assert.rejects(answer, (reason) => reason === 'stop')
  assert.deepEqual(sink.events, ['speaker first', 'text Hello', 'ended first cancelled'])
  assert.equal(sink.segments[0]?.estimated, true)
  assert.equal(sink.segments[0]?.outputTokens, 5)
  assert.equal(script.calls.length, 1)
})

/** Models that are vetoed, one by one. */
function vetoing() {
  const vetoed = new Map<string, Error>()
  const listeners = new Set<() => void>()
  const vetoes: Vetoes = {
    of: (model) => vetoed.get(model),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  const veto = (model: string) => {
    vetoed.set(model, new Error(`not ${model}`))
    for (const listener of listeners) listener()
  }
  return { vetoes, veto, listeners }
}

test('a model that is vetoed while it speaks is called off, and the answer ends with the reason; another is not', async () => {
  const { ask, script } = modelsAtHand()
  const { vetoes, veto, listeners } = vetoing()
  const { sink, answer } = ask([first, second], { vetoes })
  const call = await script.opened(1)
  call.text('Hello')
  veto('second')
  assert.equal(call.aborted, false)
  veto('first')
  assert.equal(call.aborted, true)
  await assert.rejects(answer, /not first/)
  assert.deepEqual(sink.events, ['speaker first', 'text Hello', 'ended first cancelled'])
  assert.equal(listeners.size, 0)
})

test('a model that is vetoed before it is called is not, and gives its place back', async () => {
  const { ask, script, models } = modelsAtHand()
  const { vetoes, veto } = vetoing()
  const { promise, resolve } = Promise.withResolvers<void>()
  const waiting = ask([first], { vetoes, before: () => promise })
  await setImmediate()
  veto('first')
  resolve()
  await assert.rejects(waiting.answer, /not first/)
  await assert.rejects(ask([first], { vetoes }).answer, /not first/)
  assert.equal(script.calls.length, 0)
  models.use([first])
  assert.equal(models.health()[0]?.active, 0)
})

test('of a model that failed before it was vetoed the next one takes over', async () => {
  const { ask, script } = modelsAtHand()
  const { vetoes, veto } = vetoing()
  const { answer } = ask([first, second], { vetoes })
  const call = await script.opened(1)
  call.refuse(500)
  veto('first')
  const next = await script.opened(2)
  assert.equal(next.aborted, false)
  next.text('Hello')
  next.complete()
  assert.equal((await answer).text, 'Hello')
})

test('aborting before, while held back and between two calls', async () => {
  const { ask, script, models } = modelsAtHand()
  const before = ask([first], { signal: AbortSignal.abort('early') })
  await assert.rejects(before.answer, (reason) => reason === 'early')
  assert.equal(script.calls.length, 0)

  const held = ask([first, instructed])
  const call = await script.opened(1)
  call.text('The quick brown')
  call.fail('cut_off')
  const next = await script.opened(2)
  next.text('quick')
  held.abort.abort('stop')
  assert.equal(next.aborted, true)
  await assert.rejects(held.answer, (reason) => reason === 'stop')
  assert.equal(held.sink.shown, 'The quick brown')
  assert.deepEqual(held.sink.events.slice(-2), ['ended first failed cut_off', 'ended instructed cancelled'])

  const between = ask([first, second])
  const failing = await script.opened(3)
  failing.refuse(500)
  between.abort.abort('stop')
  await assert.rejects(between.answer, (reason) => reason === 'stop')
  assert.equal(script.calls.length, 3)
  models.use([first, second])
  assert.deepEqual(
    models.health().map(({ active, queued }) => active + queued),
    [0, 0],
  )
})

test('aborting while the prompt is made', async () => {
  const { ask, script } = modelsAtHand()
  const messages = () => {
    abort.abort('stop')
    return []
  }
  const { answer, abort, sink } = ask([first, second], { messages })
  await assert.rejects(answer, (reason) => reason === 'stop')
  assert.deepEqual(
    script.calls.map(({ aborted }) => aborted),
    [true],
  )
  assert.deepEqual(sink.events, ['ended first cancelled'])
})

test('the flow is held across a failover, and patience with it', async () => {
  const { ask, script, clock } = modelsAtHand()
  const { sink, answer } = ask([first, second])
  const call = await script.opened(1)
  call.text('Hello')
  sink.flows?.pause()
  assert.equal(call.paused, true)
  clock.advance(60_000)
  assert.equal(call.aborted, false)
  call.fail('cut_off')
  const next = await script.opened(2)
  assert.equal(next.paused, true)
  sink.flows?.resume()
  assert.equal(next.paused, false)
  next.text(' world.')
  next.complete()
  assert.equal((await answer).text, 'Hello world.')
})

test('a failure after the finish reason does not fail the answer', async () => {
  const { ask, script } = modelsAtHand()
  const { answer, sink } = ask([first, second])
  const call = await script.opened(1)
  call.text('Hello.')
  call.finish()
  call.fail('cut_off')
  assert.equal((await answer).text, 'Hello.')
  assert.deepEqual(sink.events.at(-1), 'ended first completed')
  assert.equal(sink.segments[0]?.estimated, true)
})
