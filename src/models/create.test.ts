import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ParleyError } from '#errors.ts'
import { modelsAtHand } from '../../test/support/models-at-hand.ts'
import { candidate } from '../../test/support/scripted-provider.ts'
import { ProbeFailure } from './providers/provider.ts'

const first = candidate('first')
const second = candidate('second')
const third = candidate('third')

const code = (expected: string) => (error: unknown) => {
  assert.equal(error instanceof ParleyError ? error.code : error, expected)
  return true
}

test('an open circuit is passed over, without costing an extra call', async () => {
  const { ask, refuse, script, models, clock } = modelsAtHand()
  models.use([first, second])
  await refuse(5, [first])
  const { answer } = ask([first, second])
  const call = await script.opened(6)
  assert.equal(call.spec, second.spec)
  clock.advance(7)
  call.text('Hello.')
  call.complete()
  assert.equal((await answer).model, 'second')
  assert.deepEqual(models.health(), [
    {
      name: 'first',
      provider: 'openai',
      circuit: 'open',
      held: false,
      firstTokenMs: { p50: undefined, p95: undefined },
      calls: 5,
      failures: 5,
      failovers: 0,
      active: 0,
      queued: 0,
      lastFailure: { reason: 'server_error', at: clock.now() - 7 },
      coolingUntil: undefined,
    },
    {
      name: 'second',
      provider: 'openai',
      circuit: 'closed',
      held: false,
      firstTokenMs: { p50: 7, p95: 7 },
      calls: 1,
      failures: 0,
      failovers: 0,
      active: 0,
      queued: 0,
      lastFailure: undefined,
      coolingUntil: undefined,
    },
  ])
  await models.close()
})

test('a failure before the turn of another model counts as a failover', async () => {
  const { ask, script, models } = modelsAtHand()
  models.use([first, second])
  const { answer } = ask([first, second])
  ;(await script.opened(1)).refuse(500)
  ;(await script.opened(2)).complete()
  await answer
  assert.deepEqual(
    models.health().map(({ failovers }) => failovers),
    [1, 0],
  )
})

test('at most half of a route is out: beyond that the least bad circuit is used', async () => {
  const { ask, refuse, script, clock, models } = modelsAtHand()
  await refuse(5, [first])
  clock.advance(1)
  await refuse(5, [second])
  clock.advance(1)
  await refuse(5, [third])
  const { answer } = ask([third, second, first])
  const least = await script.opened(16)
  assert.equal(least.spec, first.spec, 'the first to half-open')
  least.refuse(500)
  const next = await script.opened(17)
  assert.equal(next.spec, second.spec)
  next.refuse(500)
  await assert.rejects(answer, code('model_failed'))
  assert.equal(script.calls.length, 17, 'one of three may stay out')

  const alone = ask([first])
  ;(await script.opened(18)).complete()
  assert.equal((await alone.answer).model, 'first', 'a route of one never is out')
  await models.close()
})

test('a circuit held open by an operator lets nothing through', async () => {
  const { ask, script, models } = modelsAtHand()
  models.use([first])
  assert.equal(models.setCircuit('unknown', 'open'), undefined)
  assert.deepEqual(
    [models.setCircuit('first', 'open')].map((health) => [health?.circuit, health?.held]),
    [['open', true]],
  )
  await assert.rejects(ask([first]).answer, code('models_unavailable'))
  models.setCircuit('first', 'auto')
  const { answer } = ask([first])
  ;(await script.opened(1)).complete()
  assert.equal((await answer).model, 'first')
})

test('a 429 cools a deployment and counts nowhere', async () => {
  const { ask, refuse, script, clock, models } = modelsAtHand()
  models.use([first, second])
  await refuse(4, [first])
  const { answer } = ask([first, second])
  ;(await script.opened(5)).refuse(429, { retryAfterMs: 86_400_000 })
  ;(await script.opened(6)).complete()
  await answer
  assert.equal(models.health()[0]?.circuit, 'closed', 'not the fifth failure in a row')
  assert.equal(models.health()[0]?.coolingUntil, clock.now() + 60_000)
  clock.advance(59_999)
  const cooling = ask([first, second])
  const call = await script.opened(7)
  assert.equal(call.spec, second.spec)
  call.complete()
  await cooling.answer
  clock.advance(1)
  const cool = ask([first])
  ;(await script.opened(8)).complete()
  assert.equal((await cool.answer).model, 'first')
})

test('when all are rate limited the caller is told when to come back', async () => {
  const { ask, script, clock } = modelsAtHand()
  const { answer } = ask([first, second])
  ;(await script.opened(1)).refuse(429, { retryAfterMs: 9000 })
  ;(await script.opened(2)).refuse(429)
  await assert.rejects(answer, (error: ParleyError) => {
    assert.deepEqual([error.code, error.status, error.retryAfterMs], ['rate_limited', 429, 5000])
    return true
  })
  clock.advance(1000)
  await assert.rejects(ask([first, second]).answer, (error: ParleyError) => {
    assert.deepEqual([error.code, error.retryAfterMs], ['rate_limited', 4000])
    return true
  })
  assert.equal(script.calls.length, 2)
})

test('a 429, a refused request and a cancelled one give the half-open slot back', async () => {
  const { ask, refuse, script, clock, models } = modelsAtHand()
  await refuse(5, [first])
  clock.advance(2000)
  for (const [index, status] of [400, 429].entries()) {
    const { answer } = ask([first])
    ;(await script.opened(6 + index)).refuse(status)
    await assert.rejects(answer)
  }
  clock.advance(5000)
  const { answer, abort } = ask([first])
  await script.opened(8)
  abort.abort('stop')
  await assert.rejects(answer, (reason) => reason === 'stop')
  models.use([first])
  assert.equal(models.health()[0]?.circuit, 'half-open')
  const trial = ask([first])
  ;(await script.opened(9)).complete()
  await trial.answer
  assert.equal(models.health()[0]?.circuit, 'closed')
})

test('a prompt that does not fit gives the half-open slot back, too', async () => {
  const { ask, refuse, script, clock, models } = modelsAtHand()
  await refuse(5, [first])
  clock.advance(2000)
  const messages = () => {
    throw new ParleyError('context_overflow')
  }
  await assert.rejects(ask([first], { messages }).answer, code('context_overflow'))
  const { answer } = ask([first, second])
  const trial = await script.opened(6)
  assert.equal(trial.spec, first.spec)
  trial.complete()
  await answer
  await models.close()
})

test('an open circuit is probed when its time is over, and users are kept away until it answers', async () => {
  const { ask, refuse, script, clock, models } = modelsAtHand()
  models.use([first, second])
  await refuse(5, [first])
  clock.advance(1999)
  assert.equal(script.probes.length, 0)
  clock.advance(1)
  assert.equal(script.probes[0]?.spec, first.spec)
  const meanwhile = ask([first, second])
  const call = await script.opened(6)
  assert.equal(call.spec, second.spec)
  call.complete()
  await meanwhile.answer

  script.probes[0]?.fail(new ProbeFailure('server_error', undefined))
  await setImmediate()
  assert.equal(models.health()[0]?.circuit, 'open')
  clock.advance(4000)
  assert.equal(script.probes.length, 2)
  script.probes[1]?.succeed()
  await setImmediate()
  assert.equal(models.health()[0]?.circuit, 'closed')
  assert.equal(clock.pending, 0)
  await models.close()
})

test('a probe that meets a 429 comes again after it; one that hangs is given up', async () => {
  const { refuse, script, clock, models } = modelsAtHand()
  models.use([first])
  await refuse(5, [first])
  clock.advance(2000)
  script.probes[0]?.fail(new ProbeFailure('rate_limited', undefined))
  await setImmediate()
  assert.equal(models.health()[0]?.circuit, 'half-open')
  clock.advance(5000)
  assert.equal(script.probes.length, 2)
  clock.advance(10_000)
  assert.equal(script.probes[1]?.signal.aborted, true)
  await setImmediate()
  assert.equal(models.health()[0]?.circuit, 'open')
  clock.advance(60_000)
  assert.equal(script.probes.length, 3)
  await models.close()
  assert.equal(script.probes[2]?.signal.aborted, true)
  assert.equal(clock.pending, 0)
})

test('what no config version names any more is neither shown nor probed', async () => {
  const { refuse, script, clock, models } = modelsAtHand()
  models.use([first, first, second])
  assert.equal(models.health().length, 2)
  await refuse(5, [first])
  models.use([second])
  clock.advance(60_000)
  assert.equal(script.probes.length, 0)
  assert.deepEqual(
    models.health().map(({ name }) => name),
    ['second'],
  )
  await models.close()
})

test('a deployment that comes into use with its circuit open is probed, too', async () => {
  const { refuse, script, clock, models } = modelsAtHand()
  await refuse(5, [first])
  clock.advance(500)
  models.use([first])
  models.use([first, second])
  clock.advance(1499)
  assert.equal(script.probes.length, 0)
  clock.advance(1)
  assert.equal(script.probes.length, 1)
  script.probes[0]?.succeed()
  await setImmediate()
  assert.equal(models.health()[0]?.circuit, 'closed')
  assert.equal(clock.pending, 0)
  await models.close()
})

test('offline models are told apart by their names', async () => {
  const { refuse, models } = modelsAtHand()
  const quick = candidate('quick', { provider: 'offline' })
  const slow = candidate('slow', { provider: 'offline' })
  await refuse(5, [quick])
  models.use([quick, slow])
  assert.deepEqual(
    models.health().map(({ circuit }) => circuit),
    ['open', 'closed'],
  )
  await models.close()
})

test('config versions that name the same deployment share what is known of it', async () => {
  const { refuse, models } = modelsAtHand()
  const renamed = candidate('renamed', { model: 'first', price: { input: 0, output: 0 } })
  const elsewhere = candidate('elsewhere', {
    model: 'first',
    provider: 'openai-compatible',
    baseUrl: 'http://other/v1',
  })
  await refuse(5, [first])
  models.use([renamed, elsewhere])
  assert.deepEqual(
    models.health().map(({ name, circuit, calls }) => [name, circuit, calls]),
    [
      ['renamed', 'open', 5],
      ['elsewhere', 'closed', 0],
    ],
  )
  await models.close()
})

test('when the extra calls are used up, failures surface', async () => {
  const { ask, script, models } = modelsAtHand()
  models.use([first, second])
  models.setCircuit('first', 'closed')
  let failovers = 0
  for (let request = 0; request < 200; request++) {
    const before = script.calls.length
    const { answer } = ask([first, second])
    ;(await script.opened(before + 1)).refuse(500)
    await setImmediate()
    if (script.calls.length === before + 1) {
      await assert.rejects(answer, code('models_unavailable'))
      break
    }
    failovers += 1
    script.calls.at(-1)?.complete()
    await answer
  }
  assert.ok(failovers >= 100 && failovers <= 112, `the reserve and a tenth of the requests: ${failovers}`)

  const opened = script.opened(script.calls.length + 1)
  const visible = ask([first, second])
  const call = await opened
  call.text('Hello')
  call.fail('cut_off')
  await assert.rejects(visible.answer, code('model_interrupted'))
})
