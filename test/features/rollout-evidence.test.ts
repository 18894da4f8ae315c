import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chatConfig } from '../support/chat-config.ts'
import {
  type Conversation,
  type Converse,
  canary,
  failed,
  openRolloutGround,
  ROUND_MS,
  type RolloutGround,
  type RolloutReplica,
  turnOf,
} from '../support/rollouts-at-hand.ts'

const MINUTE = 60_000

function figureOf(replica: RolloutReplica, metric: string) {
  const { figures } = replica.rollouts.view()
  const found = figures?.metrics.find((one) => one.metric === metric)
  return [found?.canary, found?.control]
}

function turn(ground: RolloutGround, replica: RolloutReplica, of: Conversation, more: Converse = {}): void {
  replica.events.emit('turn.ended', { ...turnOf(of, ground.clock), ...more })
}

test('an outage of both arms rolls nothing back', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  for (let n = 0; n < 200; n++) replica.converse({ arm: n % 20 === 0 ? 'canary' : 'stable', ...failed })
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual(figureOf(replica, 'turn-error'), [10, 190])
  assert.equal(replica.rollouts.view().verdict.decision, 'hold')
  await replica.close()
})

test('a conversation whose turns all fail counts once', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const one = replica.converse({ arm: 'canary', ...failed })
  for (let n = 0; n < 50; n++) turn(ground, replica, one, failed)
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual(figureOf(replica, 'turn-error'), [1, 0])
  assert.ok(replica.rollouts.view().live)
  await replica.close()
})

test('a fact that is told again, also to a replica that has started since, counts once', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const one = replica.converse({ arm: 'canary' })
  const fact = { ...turnOf(one, ground.clock), ...failed }
  replica.events.emit('turn.ended', fact)
  await ground.pass(ROUND_MS)
  await replica.close()
  const next = await ground.replica()
  next.events.emit('turn.ended', fact)
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual(figureOf(next, 'turn-error'), [1, 0])
  await ground.pass(17 * MINUTE, MINUTE)
  assert.equal(next.rollouts.view().figures?.trials.canary, 1)
  await next.close()
})

test('traffic that stops holds the step, then pauses it, and never passes it', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  for (let n = 0; n < 30; n++) replica.converse({ arm: 'canary' })
  await ground.pass(ROUND_MS)
  await ground.pass(23 * 60 * MINUTE, 60 * MINUTE)
  assert.match(replica.rollouts.view().verdict.sentence, /^Hold: 30 of 50 trials/)
  await ground.pass(2 * 60 * MINUTE, 60 * MINUTE)
  const { live, verdict } = replica.rollouts.view()
  assert.deepEqual([live?.status, live?.paused?.cause, live?.step], ['paused', 'inconclusive', 0])
  assert.match(verdict.sentence, /silence proves nothing/)
  assert.equal(replica.serving.assign('conv_x').cohort, '', 'nobody new while it is paused')
  await replica.close()
})

test('what comes late lands in the cohort of its conversation', async () => {
  await using ground = await openRolloutGround({ env: { trialClosesMs: 0 } })
  const replica = await canary(ground)
  const early = replica.converse({ arm: 'canary' })
  for (let n = 0; n < 60; n++) replica.converse({ arm: 'canary' })
  await ground.passUntil(() => replica.rollouts.view().live?.step === 1)
  const { arm, cohort, unit, config } = early
  const served = { arm, cohort, unit, config: config.name }
  const run = { run: 'run_1', action: 'create_ticket', principal: 'p', tenant: 'local', settledAt: 0 }
  replica.events.emit('run.settled', { ...served, ...run, status: 'dead-lettered', reason: 'timeout' })
  replica.events.emit('feedback.given', { ...served, turn: 'turn_1', rating: 'down', at: 0 })
  await ground.pass(2 * ROUND_MS)
  const { figures } = replica.rollouts.view()
  // One bad unit that was assigned at 5 % weighs ten times as much as one at 50 %.
  const e = figures?.metrics.find(({ metric }) => metric === 'action-failed')?.e ?? 0
  const mean = [1.25, 1.5, 2, 3, 5, 10, 30, 100].reduce((sum, theta) => sum + theta / (theta * 0.05 + 0.95) / 8, 0)
  assert.ok(Math.abs(e - mean) < 1e-9, `${e} is not ${mean}`)
  assert.deepEqual(figureOf(replica, 'thumbs-down'), [1, 0])
  await replica.close()
})

test('a candidate that asks for approval where stable does not is not rolled back by those who do not approve', async () => {
  const { actions = {} } = chatConfig({})
  const { calculate } = actions
  assert.ok(calculate)
  const approval = { roles: ['Action.Approver' as const] }
  for (const [changed, isLive] of [
    [{ ...calculate, approval }, true],
    [{ ...calculate, description: 'In other words.' }, false],
  ] as const) {
    await using ground = await openRolloutGround()
    ground.push('v1')
    const replica = await ground.replica()
    ground.push('v2', { document: { actions: { ...actions, calculate: changed } } })
    await ground.pass(ROUND_MS)
    for (let n = 0; n < 4; n++) {
      const { arm, cohort, unit, config, principal } = replica.converse({ arm: 'canary' })
      const run = { run: `run_${n}`, action: 'calculate', principal, tenant: 'local', settledAt: 0 }
      const rejected = { status: 'rejected', reason: 'approval_rejected' }
      replica.events.emit('run.settled', { arm, cohort, unit, config: config.name, ...run, ...rejected })
    }
    await ground.pass(2 * ROUND_MS)
    assert.equal(replica.rollouts.view().live !== null, isLive)
    if (isLive) assert.deepEqual(figureOf(replica, 'action-failed'), [0, 0])
    await replica.close()
  }
})

test('an answer by a fallback model counts for the version that was assigned', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const segments = [{ model: 'backup', inputTokens: 100, outputTokens: 10, costUsd: 0.1 }]
  for (let n = 0; n < 2; n++) replica.converse({ arm: 'canary', segments, firstTokenMs: 9000 })
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual(figureOf(replica, 'first-token-slow'), [2, 0])
  await replica.close()
})

test('who was picked by hand, and who is outside of the rollout, is not counted', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const assignment = replica.serving.pick('v2')
  for (let n = 0; n < 20; n++) {
    const who = { ...assignment, unit: `conv_${n}`, principal: `p${n}` }
    turn(ground, replica, who, failed)
    turn(ground, replica, { ...who, cohort: '' }, failed)
  }
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual(figureOf(replica, 'turn-error'), [0, 0])
  await replica.close()
})

test('one batch client cannot vouch for a version', async () => {
  await using ground = await openRolloutGround({ env: { trialClosesMs: 0 } })
  const replica = await canary(ground)
  for (let n = 0; n < 100; n++) replica.converse({ arm: 'canary', principal: 'batch' })
  await ground.pass(3 * ROUND_MS)
  assert.equal(replica.rollouts.view().figures?.trials.canary, 1)
  assert.equal(replica.rollouts.view().live?.step, 0)
  await replica.close()
})

test('a fault after a trial is closed counts for rolling back, and not against the trial', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const [soon, late] = [replica.converse({ arm: 'canary' }), replica.converse({ arm: 'canary' })]
  turn(ground, replica, soon, failed)
  await ground.pass(ROUND_MS)
  await ground.pass(17 * MINUTE, MINUTE)
  turn(ground, replica, late, failed)
  await ground.pass(2 * ROUND_MS)
  const { trials } = replica.rollouts.view().figures ?? {}
  assert.deepEqual([trials?.canary, trials?.errors], [2, 1])
  assert.deepEqual(figureOf(replica, 'turn-error'), [2, 0])
  await replica.close()
})

const fault = [{ model: 'primary', kind: 'misconfigured' }] as const

test('three people in a row whose model is not to be had roll back at once, though a fallback answered', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  for (let n = 0; n < 2; n++) replica.converse({ arm: 'canary', faults: fault })
  await ground.pass(ROUND_MS)
  assert.ok(replica.rollouts.view().live)
  replica.converse({ arm: 'canary', faults: fault })
  await ground.pass(2 * ROUND_MS)
  assert.match(replica.rollouts.view().finished[0]?.reason ?? '', /3 turns in a row of v2 failed by its configuration/)
  await replica.close()
})

test('they do not where stable has such faults too, where one person has them all, or where others have none', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  replica.converse({ arm: 'stable', faults: fault })
  await ground.pass(ROUND_MS)
  for (let n = 0; n < 5; n++) replica.converse({ arm: 'canary', faults: fault })
  await ground.pass(2 * ROUND_MS)
  replica.converse({ arm: 'canary' })
  await ground.pass(2 * MINUTE, MINUTE)
  for (let n = 0; n < 5; n++) replica.converse({ arm: 'canary', principal: 'batch', faults: fault })
  await ground.pass(2 * ROUND_MS)
  for (let n = 0; n < 5; n++) {
    replica.converse({ arm: 'canary' })
    replica.converse({ arm: 'canary', faults: fault })
    await ground.pass(ROUND_MS)
  }
  assert.ok(replica.rollouts.view().live)
  await replica.close()
})

test('a version that is slower, and one that is dearer, is found by what stable was like at the start', async () => {
  for (const [metric, more] of [
    ['first-token-slow', { firstTokenMs: 2000 }],
    ['cost-high', { segments: [{ model: 'm', inputTokens: 1, outputTokens: 1, costUsd: 0.5 }] }],
  ] as const) {
    await using ground = await openRolloutGround()
    ground.push('v1')
    const replica = await ground.replica()
    for (let n = 0; n < 250; n++) {
      replica.converse({ segments: [{ model: 'm', inputTokens: 1, outputTokens: 1, costUsd: 0.01 }] })
    }
    await ground.pass(ROUND_MS)
    ground.push('v2')
    await ground.pass(ROUND_MS)
    for (let n = 0; n < 8; n++) replica.converse({ arm: 'canary', ...more })
    await ground.pass(2 * ROUND_MS)
    assert.match(replica.rollouts.view().finished[0]?.reason ?? metric, /slow first tokens|high costs/)
    assert.equal(replica.rollouts.view().live, null)
    await replica.close()
  }
})

test('with too little of stable to compare with, the step holds, and within an hour waits for a person', async () => {
  await using ground = await openRolloutGround({ env: { trialClosesMs: 0 } })
  ground.push('v1')
  const replica = await ground.replica()
  ground.push('v2')
  await ground.pass(ROUND_MS)
  for (let n = 0; n < 50; n++) replica.converse({ arm: 'canary' })
  await ground.pass(3 * ROUND_MS)
  assert.equal(replica.rollouts.view().live?.status, 'canary')
  assert.match(replica.rollouts.view().verdict.sentence, /^Hold: .* fewer than 200 yet/)
  await ground.pass(60 * MINUTE, MINUTE)
  assert.equal(replica.rollouts.view().live?.paused?.cause, 'incomparable')
  assert.match(replica.rollouts.view().verdict.sentence, /fewer than 200 trials of stable/)
  await replica.close()
})

test('a step that has its trials goes on by itself once there is enough of stable to compare with', async () => {
  await using ground = await openRolloutGround({ env: { trialClosesMs: 0 } })
  ground.push('v1')
  const replica = await ground.replica()
  ground.push('v2')
  await ground.pass(ROUND_MS)
  for (let n = 0; n < 50; n++) replica.converse({ arm: 'canary' })
  await ground.pass(3 * ROUND_MS)
  assert.equal(replica.rollouts.view().live?.step, 0)
  for (let n = 0; n < 210; n++) replica.converse({ arm: 'stable' })
  await ground.pass(3 * ROUND_MS)
  assert.equal(replica.rollouts.view().live?.step, 1)
  await replica.close()
})

test('stable is frozen for comparison as soon as there is enough of it', async () => {
  await using ground = await openRolloutGround()
  ground.push('v1')
  const replica = await ground.replica()
  ground.push('v2')
  await ground.pass(ROUND_MS)
  assert.equal(replica.rollouts.view().live?.baseline, null)
  for (let n = 0; n < 210; n++) replica.converse({ arm: 'stable' })
  await ground.pass(3 * ROUND_MS)
  assert.equal(replica.rollouts.view().live?.baseline?.trials, 210)
  for (let n = 0; n < 100; n++) replica.converse({ arm: 'stable' })
  await ground.pass(3 * ROUND_MS)
  assert.equal(replica.rollouts.view().live?.baseline?.trials, 210)
  await replica.close()
})
