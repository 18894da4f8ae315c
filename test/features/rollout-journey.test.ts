import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RolloutView } from '#config/rollouts.ts'
import { failed, openRolloutGround, operator, ROUND_MS, type RolloutReplica } from '../support/rollouts-at-hand.ts'

const MINUTE = 60_000

interface Evidence {
  figures: NonNullable<RolloutView['figures']>
}

/** Enough of stable to compare with. */
function converse(replica: RolloutReplica, times: number, more = {}): void {
  for (let n = 0; n < times; n++) replica.converse(more)
}

test('where there was nothing, the newest version serves everyone, and the history says so', async () => {
  await using ground = await openRolloutGround()
  ground.push('v1')
  ground.push('v2')
  const replica = await ground.replica()
  assert.equal(replica.serving.stable().name, 'v2')
  const [line] = await replica.rollouts.history(10)
  assert.deepEqual([line?.from, line?.to, line?.by, line?.epoch], ['none', 'stable', 'system', 1])
  assert.equal(replica.rollouts.view().verdict.sentence, 'No rollout is live: v2 serves everyone.')
  await replica.close()
})

test('a good version passes its steps, bakes and serves everyone, without anybody', async () => {
  await using ground = await openRolloutGround()
  ground.push('v1')
  const replica = await ground.replica()
  converse(replica, 250)
  await ground.pass(ROUND_MS)
  ground.push('v2')
  await ground.pass(ROUND_MS)
  assert.equal(replica.rollouts.view().live?.step, 0)
  assert.equal(replica.rollouts.view().live?.baseline?.trials, 250)
  for (const step of [0, 1]) {
    converse(replica, 49, { arm: 'canary' })
    await ground.pass(ROUND_MS)
    await ground.pass(15 * MINUTE, MINUTE)
    assert.match(replica.rollouts.view().verdict.sentence, /^Hold: 49 of 50 trials/)
    converse(replica, 40, { arm: 'canary' })
    await ground.pass(14 * MINUTE, MINUTE)
    assert.equal(replica.rollouts.view().live?.step, step, 'trials that are not closed do not count')
    await ground.pass(2 * MINUTE, MINUTE)
  }
  assert.equal(replica.rollouts.view().live?.status, 'baking')
  assert.doesNotMatch(
    replica.rollouts.view().verdict.sentence,
    /trials/,
    'what was said of the step is not said of the watch',
  )
  assert.equal(replica.serving.stable().name, 'v1')
  await ground.pass(16 * MINUTE, MINUTE)
  assert.equal(replica.serving.stable().name, 'v2')
  const lines = await replica.rollouts.history(10)
  assert.deepEqual(
    lines.map(({ to, epoch }) => `${epoch} ${to}`),
    ['5 stable', '4 baking', '3 canary 2/2 (50 %)', '2 canary 1/2 (5 %)', '1 stable'],
  )
  const [, baking, second] = lines.map(({ evidence }) => evidence as Evidence | null)
  assert.equal(baking?.figures.metrics.length, 6)
  assert.ok((baking?.figures.advance.e ?? 0) >= 20 && baking?.figures.trials.canary === 89)
  assert.deepEqual(
    second?.figures.metrics.map(({ canary, control, e, threshold }) => [canary, control, e, Math.round(threshold)]),
    [333, 500, 500, 667, 1000, 2000].map((threshold) => [0, 0, 1, threshold]),
    'each line has counts and E of every metric',
  )
  await replica.close()
})

test('a bad version takes itself back, and never begins by itself again', async () => {
  await using ground = await openRolloutGround()
  ground.push('v1')
  const replica = await ground.replica()
  ground.push('v2')
  await ground.pass(ROUND_MS)
  const bad = [1, 2, 3].map(() => replica.converse({ arm: 'canary', ...failed }))
  assert.ok(bad.every(({ config }) => config.name === 'v2'))
  await ground.pass(ROUND_MS)
  const { finished, live, stable } = replica.rollouts.view()
  assert.deepEqual([live, stable.version, finished[0]?.outcome], [null, 'v1', 'rolled-back'])
  assert.match(finished[0]?.reason ?? '', /3 of 3 conversations with failed turns are of v2/)
  const [line] = await replica.rollouts.history(1)
  const { figures, why } = (line?.evidence ?? assert.fail('nothing was kept')) as Evidence & { why: unknown }
  const [turnErrors] = figures.metrics
  assert.deepEqual([turnErrors?.canary, turnErrors?.control], [3, 0])
  assert.ok((turnErrors?.e ?? 0) >= (turnErrors?.threshold ?? Number.POSITIVE_INFINITY))
  assert.deepEqual(why, { kind: 'evidence', metric: 'turn-error' })
  for (const { config, arm, cohort } of bad) {
    assert.equal(replica.serving.resolve({ config: config.name, arm, cohort }).config.name, 'v1')
  }
  assert.ok(replica.serving.rolledBackSince('v2', ground.clock.now() - MINUTE))
  assert.ok(!replica.serving.rolledBackSince('v2', ground.clock.now() + MINUTE))
  await ground.pass(10 * ROUND_MS)
  assert.equal(replica.rollouts.view().live, null)
  ground.push('v3')
  await ground.pass(ROUND_MS)
  assert.equal(replica.rollouts.view().live?.candidate.version, 'v3')
  await replica.close()
})

test('both arms are pinned while the rollout lasts', async () => {
  await using ground = await openRolloutGround()
  ground.push('v1')
  const replica = await ground.replica()
  ground.push('v2')
  await ground.pass(ROUND_MS)
  for (const arm of ['stable', 'canary'] as const) {
    const { config, cohort, unit } = replica.converse({ arm })
    assert.deepEqual(replica.serving.resolve({ config: config.name, arm, cohort }), { config, arm, cohort })
    assert.equal(replica.serving.assign(unit).arm, arm)
  }
  await replica.close()
})

test('versions that come while one is on its way wait, and of several the newest goes', async () => {
  await using ground = await openRolloutGround()
  ground.push('v1')
  const replica = await ground.replica()
  for (const name of ['v2', 'v3', 'v4']) {
    ground.push(name)
    await ground.pass(ROUND_MS)
  }
  const { live, waiting } = replica.rollouts.view()
  assert.equal(live?.candidate.version, 'v2')
  assert.deepEqual(
    waiting.map(({ version, reason }) => [version, reason]),
    [
      ['v4', 'It waits until the rollout of v2 has ended.'],
      ['v3', 'It waits until the rollout of v2 has ended.'],
    ],
  )
  converse(replica, 3, { arm: 'canary', ...failed })
  await ground.pass(2 * ROUND_MS)
  assert.equal(replica.rollouts.view().live?.candidate.version, 'v4')
  await replica.close()
})

test('without steps a version serves everyone as soon as it is found', async () => {
  await using ground = await openRolloutGround({ env: { floors: [] } })
  ground.push('v1')
  const replica = await ground.replica()
  ground.push('v2')
  await ground.pass(100)
  await ground.pass(ROUND_MS)
  assert.equal(replica.serving.stable().name, 'v2')
  assert.deepEqual(replica.serving.assign('conv_1').cohort, '')
  await replica.close()
})

test('the steps of a version go before the floors', async () => {
  await using ground = await openRolloutGround()
  ground.push('v1')
  const replica = await ground.replica()
  const steps = [{ weight: 1, conversations: 500 }]
  ground.push('v2', { document: { rollout: { steps, bakeMs: 3_600_000 } } })
  await ground.pass(ROUND_MS)
  const { live } = replica.rollouts.view()
  assert.deepEqual([live?.steps, live?.bakeMs], [steps, 3_600_000])
  await replica.close()
})

test('where rollouts are started by hand, nothing begins by itself', async () => {
  await using ground = await openRolloutGround({ env: { starts: 'by-hand' } })
  ground.push('v1')
  const replica = await ground.replica()
  ground.push('v2')
  await ground.pass(3 * ROUND_MS)
  const { live, waiting, etag } = replica.rollouts.view()
  assert.deepEqual([live, waiting[0]?.reason], [null, 'It is started by hand.'])
  const view = await replica.rollouts.start(operator(), { version: 'v2', waive: ['cost-high'], ifMatch: etag })
  assert.deepEqual([view.live?.startedBy, view.live?.waived], ['Olga', ['cost-high']])
  const [line] = await replica.rollouts.history(1)
  assert.deepEqual([line?.by, line?.operator], ['Olga', 'olga'])
  assert.match(JSON.stringify(line?.evidence), /"waived":\["cost-high"\]/)
  await replica.close()
})

const calculate = {
  description: 'Calculates.',
  parameters: { type: 'object', properties: {} },
  builtin: 'calculate',
  access: 'read' as const,
}

test('a version that guards less waits for a second operator', async () => {
  await using ground = await openRolloutGround({ env: { secondOperator: true } })
  const action = (approval: boolean) => ({
    calculate: { ...calculate, ...(approval && { approval: { roles: ['Action.Approver' as const] } }) },
  })
  ground.push('v1', { document: { actions: action(true) } })
  const replica = await ground.replica()
  const uploadedBy = { id: 'olga' }
  ground.push('v2', { document: { actions: action(false) }, uploadedBy })
  await ground.pass(2 * ROUND_MS)
  const { live, waiting, etag } = replica.rollouts.view()
  assert.equal(live, null)
  assert.match(waiting[0]?.reason ?? '', /a second operator has to agree/)
  const start = (by: string) => replica.rollouts.start(operator(by), { version: 'v2', ifMatch: etag })
  await assert.rejects(start('Olga'), { code: 'second_operator_needed' })
  ground.push('v2', { document: { actions: action(false) }, uploadedBy, approvedBy: { id: 'otto' } })
  await ground.pass(2 * ROUND_MS)
  assert.equal(replica.rollouts.view().live?.candidate.version, 'v2')
  await replica.close()
})

test('of one that was put there by whatever means, whoever approves it may be who put it there: another one has to start it', async () => {
  await using ground = await openRolloutGround({ env: { secondOperator: true } })
  const guarded = { calculate: { ...calculate, approval: { roles: ['Action.Approver' as const] } } }
  ground.push('v1', { document: { actions: guarded } })
  const replica = await ground.replica()
  const start = (by: string) =>
    replica.rollouts.start(operator(by), { version: 'v2', ifMatch: replica.rollouts.view().etag })
  const why = () => replica.rollouts.view().waiting[0]?.reason ?? ''
  ground.push('v2', { document: { actions: { calculate } } })
  await ground.pass(2 * ROUND_MS)
  assert.match(why(), /one operator has to approve it, and a second operator to start it/)
  await assert.rejects(start('Olga'), { code: 'second_operator_needed' })
  ground.push('v2', { document: { actions: { calculate } }, approvedBy: { id: 'olga' } })
  await ground.pass(2 * ROUND_MS)
  assert.equal(replica.rollouts.view().live, null, 'by itself it would have the word of one person alone')
  assert.match(why(), /a second operator has to agree, by starting it/)
  await assert.rejects(start('Olga'), { code: 'second_operator_needed' })
  assert.equal((await start('Otto')).live?.candidate.version, 'v2')
  await replica.close()
})
