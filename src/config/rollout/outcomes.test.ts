import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFailedRun, isNotCompleted, outcomeOf } from './outcomes.ts'
import { unitCost } from './unit-cost.ts'

test('a turn fails by its version, unless its caller is at fault', () => {
  const failed = (code: string) => ({ status: 'failed', code }) as const
  assert.equal(outcomeOf({ status: 'completed', code: null }, false), 'ok')
  assert.equal(outcomeOf({ status: 'cancelled', code: null }, false), 'ok')
  assert.equal(outcomeOf(failed('model_failed'), false), 'failed')
  assert.equal(outcomeOf(failed('turn_lost'), false), 'failed')
  assert.equal(outcomeOf(failed('model_misconfigured'), false), 'failed')
  assert.equal(outcomeOf(failed('invalid_request'), false), undefined)
})

test('what a provider refuses is the version’s in a turn, and the caller’s where a request is passed through', () => {
  const refused = { status: 'failed', code: 'provider_rejected' } as const
  assert.deepEqual([outcomeOf(refused, false), outcomeOf(refused, true)], ['failed', undefined])
})

test('answers that are cut off or cancelled are not completed', () => {
  const finished = (finish: string) => isNotCompleted({ status: 'completed', finish })
  assert.deepEqual(['stop', 'tool_calls', 'length', 'content_filter'].map(finished), [false, false, true, true])
  assert.equal(isNotCompleted({ status: 'cancelled', finish: null }), true)
  assert.equal(isNotCompleted({ status: 'failed', finish: null }), false)
})

test('a run speaks against its version when it failed, was given up or rejected, not when it was called off or left undone', () => {
  const bad = [
    ['failed', 'timeout'],
    ['dead-lettered', 'MaxDeliveryCountExceeded'],
    ['unknown', 'effect_unknown'],
    ['rejected', 'arguments_invalid'],
    ['rejected', 'unknown_action'],
    ['rejected', 'approval_rejected'],
    ['rejected', 'role_missing'],
  ] as const
  const fair = [
    ['succeeded', null],
    ['cancelled', 'cancelled'],
    ['expired', 'approval_expired'],
    ['discarded', 'discarded'],
    ['failed', 'settled_by_hand'],
  ] as const
  for (const [status, reason] of bad) assert.equal(isFailedRun({ status, reason }), true, `${status} ${reason}`)
  for (const [status, reason] of fair) assert.equal(isFailedRun({ status, reason }), false, `${status} ${reason}`)
})

test('a deployment that both versions use costs what stable says it costs', () => {
  const spec = { provider: 'openai', model: 'm', contextWindow: 1000, continuation: 'restart' } as const
  const served = {
    big: { ...spec, price: { input: 10, output: 40 } },
    new: { ...spec, model: 'n', price: { input: 4, output: 8 } },
  }
  const stable = { primary: { ...spec, price: { input: 1, output: 4 } } }
  const spent = (model: string) => ({ model, inputTokens: 1000, outputTokens: 500, costUsd: 0.03 })
  assert.equal(unitCost([spent('big')], served, stable), 0.003)
  assert.equal(unitCost([spent('new')], served, stable), 0.03)
  assert.equal(unitCost([spent('big'), spent('new'), spent('gone')], served, stable), 0.063)
})
