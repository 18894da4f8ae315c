import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chatConfig } from '../../../test/support/chat-config.ts'
import type { ActionSpec } from '../action-spec.ts'
import type { ConfigVersion } from '../document.ts'
import { isFailedRun, isNotCompleted, outcomeOf } from './outcomes.ts'
import { unitCost } from './unit-cost.ts'

/** A version with the action `calculate`, changed so. */
function versionWith(change: Partial<ActionSpec>): ConfigVersion {
  const document = chatConfig({})
  Object.assign(document.actions?.calculate ?? {}, change)
  return { name: 'v', hash: 'h', document }
}

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
  const [stable, candidate] = [versionWith({}), versionWith({ description: 'In other words.' })]
  const isBad = (status: string, reason: string | null) =>
    isFailedRun({ status, reason, action: 'calculate' }, stable, candidate)
  for (const [status, reason] of bad) assert.equal(isBad(status, reason), true, `${status} ${reason}`)
  for (const [status, reason] of fair) assert.equal(isBad(status, reason), false, `${status} ${reason}`)
})

test('what people reject speaks for other rules, and against no version, where the two have other rules for the action', () => {
  const stable = versionWith({ access: 'write' })
  const others = {
    same: [versionWith({ access: 'write', afterUntrusted: 'approval' }), true],
    'an approval': [versionWith({ access: 'write', approval: { roles: ['Action.Approver'] } }), false],
    'fewer roles': [versionWith({ access: 'write', roles: ['Admin'] }), false],
    'approval after untrusted words': [versionWith({ access: 'read' }), false],
    'no such action': [{ ...stable, document: { ...stable.document, actions: {} } }, false],
    'not known': [undefined, false],
  } as const
  for (const [what, [candidate, isBad]] of Object.entries(others)) {
    for (const reason of ['approval_rejected', 'role_missing', 'key_scope']) {
      const rejected = { status: 'rejected', reason, action: 'calculate' }
      assert.equal(isFailedRun(rejected, stable, candidate), isBad, `${what}: ${reason}`)
      assert.equal(
        candidate ? isFailedRun(rejected, candidate, stable) : isBad,
        isBad,
        `${what}, in the other arm: ${reason}`,
      )
    }
    const failed = { status: 'failed', reason: 'timeout', action: 'calculate' }
    assert.equal(isFailedRun(failed, stable, candidate), true, what)
  }
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
