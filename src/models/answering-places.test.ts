import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { modelsAtHand } from '../../test/support/models-at-hand.ts'
import { candidate } from '../../test/support/scripted-provider.ts'

const second = candidate('second')

const code = (expected: string) => (error: unknown) => {
  assert.equal(error instanceof ParleyError ? error.code : error, expected)
  return true
}

test('beyond the limit calls wait, then go to the next model, then are turned away', async () => {
  const { ask, script, models } = modelsAtHand()
  const narrow = candidate('narrow', { concurrency: 1, queue: 1 })
  const spare = candidate('spare', { concurrency: 1, queue: 1 })
  models.use([narrow, spare])
  const running = ask([narrow, spare])
  const call = await script.opened(1)
  const waiting = ask([narrow, spare])
  await setImmediate()
  assert.deepEqual(
    models.health().map(({ active, queued }) => [active, queued]),
    [
      [1, 1],
      [0, 0],
    ],
  )
  const overflowing = ask([narrow, spare])
  const elsewhere = await script.opened(2)
  assert.equal(elsewhere.spec, spare.spec)
  const waitingThere = ask([narrow, spare])
  await setImmediate()
  await assert.rejects(ask([narrow, spare]).answer, code('models_busy'))

  call.complete()
  await running.answer
  ;(await script.opened(3)).complete()
  assert.equal((await waiting.answer).model, 'narrow')
  elsewhere.complete()
  await overflowing.answer
  ;(await script.opened(4)).complete()
  assert.equal((await waitingThere.answer).model, 'spare')
})

test('waiting for a place takes no longer than a first token may, and ends with the signal', async () => {
  const { ask, script, clock, models } = modelsAtHand()
  const narrow = candidate('narrow', { concurrency: 2, queue: 2 })
  models.use([narrow])
  ask([narrow])
  ask([narrow])
  const call = await script.opened(2)
  call.text('Hello')
  script.calls[0]?.text('Hello')
  const timers = { firstTokenTimeoutMs: 300 }
  const late = ask([narrow], { timers })
  const gone = ask([narrow], { timers })
  await setImmediate()
  gone.abort.abort('stop')
  await assert.rejects(gone.answer, (reason) => reason === 'stop')
  clock.advance(300)
  await assert.rejects(late.answer, code('models_busy'))
  assert.deepEqual(
    models.health().map(({ active, queued }) => [active, queued]),
    [[2, 0]],
  )
})

test('a circuit that opens while a call waits for its place is respected', async () => {
  const { ask, script, models } = modelsAtHand()
  const narrow = candidate('narrow', { concurrency: 5, queue: 5 })
  for (let call = 0; call < 5; call++) ask([narrow])
  await script.opened(5)
  const waiting = ask([narrow, second])
  await setImmediate()
  for (const call of script.calls.slice(0, 5)) call.refuse(500)
  const call = await script.opened(6)
  assert.equal(call.spec, second.spec)
  call.complete()
  assert.equal((await waiting.answer).model, 'second')
  await models.close()
})

test('and is used all the same where it is all there is', async () => {
  const { ask, script, models } = modelsAtHand()
  const narrow = candidate('narrow', { concurrency: 5, queue: 5 })
  for (let call = 0; call < 5; call++) ask([narrow])
  await script.opened(5)
  const waiting = ask([narrow])
  await setImmediate()
  for (const call of script.calls.slice(0, 5)) call.refuse(500)
  ;(await script.opened(6)).complete()
  assert.equal((await waiting.answer).model, 'narrow')
  await models.close()
})

test('all waiting together takes no longer than a first token may', async () => {
  const { ask, script, clock, models } = modelsAtHand()
  const narrow = candidate('narrow', { concurrency: 1, queue: 1 })
  const spare = candidate('spare', { concurrency: 1, queue: 1 })
  for (const full of [narrow, spare]) ask([full])
  await script.opened(2)
  for (const call of script.calls) call.text('Hello')
  const blocking = ask([spare])
  await setImmediate()
  const { answer } = ask([narrow, spare], { timers: { firstTokenTimeoutMs: 300 } })
  await setImmediate()
  clock.advance(200)
  blocking.abort.abort('stop')
  clock.advance(100)
  await setImmediate()
  models.use([narrow, spare])
  assert.deepEqual(
    models.health().map(({ queued }) => queued),
    [0, 0],
  )
  await assert.rejects(answer, code('models_busy'))
})
