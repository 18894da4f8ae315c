import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCounterStore } from '#config/rollout/store/counter-store.ts'
import type { RolloutView } from '#config/rollouts.ts'
import { failed, openRolloutGround, operator, ROUND_MS, type RolloutGround } from '../support/rollouts-at-hand.ts'

const MINUTE = 60_000

async function canary(ground: RolloutGround) {
  ground.push('v1')
  const replica = await ground.replica()
  ground.push('v2')
  await ground.pass(ROUND_MS)
  return replica
}

function decision(view: RolloutView, reason = 'Because.') {
  return { reason, ifMatch: view.etag }
}

test('an operator pauses, resumes, promotes and rolls back, each with name and reason', async () => {
  await using ground = await openRolloutGround()
  const { rollouts, serving, close } = await canary(ground)
  let view = await rollouts.pause(operator(), decision(rollouts.view(), 'Lunch.'))
  assert.equal(view.verdict.sentence, 'Hold: v2 is paused: Lunch.')
  view = await rollouts.resume(operator(), decision(view))
  view = await rollouts.promote(operator('Otto'), decision(view, 'It looks well.'))
  assert.equal(view.live?.step, 1)
  view = await rollouts.promote(operator('Otto'), decision(view))
  assert.equal(view.live?.status, 'baking')
  view = await rollouts.promote(operator('Otto'), decision(view))
  assert.deepEqual([view.live, serving.stable().name], [null, 'v2'])
  view = await rollouts.rollback(operator('Olga'), decision(view, 'People complain.'))
  assert.deepEqual([view.stable.version, serving.stable().name, view.finished[0]?.outcome], ['v1', 'v1', 'rolled-back'])
  assert.ok(serving.rolledBackSince('v2', ground.clock.now() - MINUTE))
  const lines = await rollouts.history(3)
  assert.deepEqual(
    lines.map(({ by, operator, reason }) => [by, operator, reason]),
    [
      ['Olga', 'olga', 'People complain.'],
      ['Otto', 'otto', 'Because.'],
      ['Otto', 'otto', 'Because.'],
    ],
  )
  assert.ok(JSON.stringify(lines[1]?.evidence).includes('turn-error'), 'with the figures that there were')
  await ground.pass(5 * ROUND_MS)
  assert.equal(rollouts.view().live, null, 'what was rolled back does not begin again by itself')
  await close()
})

test('what cannot be started is named, and an old version is looked for first', async () => {
  await using ground = await openRolloutGround({ env: { starts: 'by-hand' } })
  const { rollouts, close } = await canary(ground)
  ground.push('v0', { isOld: true })
  ground.push('v3', { status: 'refused' })
  const start = (version: string) => rollouts.start(operator(), { version, ifMatch: rollouts.view().etag })
  await assert.rejects(start('v9'), { code: 'config_not_found', message: 'There is no config version "v9".' })
  await assert.rejects(start('v3'), { code: 'config_invalid', message: /^v3 is refused; npx parley config show v3/ })
  assert.equal((await start('v0')).live?.candidate.version, 'v0')
  await assert.rejects(start('v2'), { code: 'rollout_state', message: /^The rollout of v0 is live/ })
  await close()
})

test('only operators decide', async () => {
  await using ground = await openRolloutGround()
  const { rollouts, close } = await canary(ground)
  const anybody = operator('Ada', ['Chat.User', 'Action.Approver'])
  const ifMatch = rollouts.view().etag
  for (const decide of [rollouts.promote, rollouts.pause, rollouts.resume, rollouts.rollback]) {
    await assert.rejects(decide(anybody, { reason: '', ifMatch }), { code: 'forbidden' })
  }
  await assert.rejects(rollouts.start(anybody, { version: 'v2', ifMatch }), { code: 'forbidden' })
  await close()
})

test('what does not fit the state is refused, and changes nothing', async () => {
  await using ground = await openRolloutGround()
  const { rollouts, close } = await canary(ground)
  const before = rollouts.view()
  const refused = { code: 'rollout_state' }
  await assert.rejects(rollouts.resume(operator(), decision(before)), refused)
  await assert.rejects(rollouts.start(operator(), { version: 'v2', ifMatch: before.etag }), refused)
  await assert.rejects(rollouts.start(operator(), { version: 'v9', ifMatch: before.etag }), {
    code: 'config_not_found',
  })
  const back = await rollouts.rollback(operator(), decision(before))
  await assert.rejects(rollouts.rollback(operator(), decision(back)), refused)
  await assert.rejects(rollouts.promote(operator(), decision(back)), refused)
  await assert.rejects(rollouts.start(operator(), { version: 'v1', ifMatch: back.etag }), refused)
  assert.equal(rollouts.view().epoch, back.epoch)
  await close()
})

test('what was rolled back may be started again by hand, and is judged anew', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const { rollouts } = replica
  for (let n = 0; n < 3; n++) replica.converse({ arm: 'canary', ...failed })
  await ground.pass(2 * ROUND_MS)
  const [before] = rollouts.view().finished
  await rollouts.start(operator(), { version: 'v2', ifMatch: rollouts.view().etag })
  await ground.pass(2 * ROUND_MS)
  const { live, figures } = rollouts.view()
  assert.equal(live?.candidate.version, 'v2')
  assert.notEqual(live?.id, before?.id)
  assert.deepEqual(figures?.metrics[0]?.canary, 0)
  await replica.close()
})

test('of two operators at once on two replicas, one is told that he was too late', async () => {
  await using ground = await openRolloutGround()
  const one = await canary(ground)
  const two = await ground.replica()
  const seen = two.rollouts.view()
  assert.equal(seen.etag, one.rollouts.view().etag)
  const both = await Promise.allSettled([
    one.rollouts.pause(operator('Olga'), decision(seen)),
    two.rollouts.promote(operator('Otto'), decision(seen)),
  ])
  const lost = both.filter((answer) => answer.status === 'rejected')
  assert.equal(lost.length, 1)
  assert.equal(lost[0]?.reason.code, 'version_conflict')
  assert.equal(lost[0]?.reason.status, 412)
  await ground.pass(ROUND_MS)
  assert.deepEqual(one.rollouts.view().epoch, seen.epoch + 1)
  assert.deepEqual(one.rollouts.view().live, two.rollouts.view().live)
  await assert.rejects(two.rollouts.rollback(operator(), decision(seen)), { code: 'version_conflict' })
  await Promise.all([one.close(), two.close()])
})

test('who follows sees the view now, and each change of state or verdict', async () => {
  await using ground = await openRolloutGround({ env: { trialClosesMs: 0 } })
  const replica = await canary(ground)
  const abort = new AbortController()
  const views = replica.rollouts.follow(abort.signal)[Symbol.asyncIterator]()
  const next = async () => (await views.next()).value as RolloutView
  assert.equal((await next()).live?.status, 'canary')
  const pending = next()
  for (let n = 0; n < 5; n++) replica.converse({ arm: 'canary' })
  await ground.pass(2 * ROUND_MS)
  assert.match((await pending).verdict.sentence, /^Hold: 5 of 50 trials/)
  const last = next()
  await replica.rollouts.pause(operator(), decision(replica.rollouts.view(), 'Lunch.'))
  assert.equal((await last).live?.status, 'paused')
  assert.equal(JSON.stringify(replica.rollouts.view()).includes('salt'), false)
  abort.abort()
  assert.equal((await views.next()).done, true)
  await replica.close()
})

test('what an operator decides on another replica stands, though the leader was about to advance on what was before', async () => {
  await using ground = await openRolloutGround({ env: { trialClosesMs: 0 } })
  ground.push('v1')
  const leader = await ground.replica()
  const other = await ground.replica()
  for (let n = 0; n < 250; n++) leader.converse()
  await ground.pass(ROUND_MS)
  ground.push('v2')
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual([leader.rollouts.view().leader, other.rollouts.view().live?.status], [true, 'canary'])
  for (let n = 0; n < 70; n++) leader.converse({ arm: 'canary' })
  leader.converse({ arm: 'canary', status: 'cancelled', finish: null })
  // The leader has news to judge, and has not heard of the pause when it does.
  const counters = createCounterStore(ground.kv, { trialClosesMs: 0 })
  const rollout = other.rollouts.view().live?.id ?? ''
  const cancelled = async () => {
    const { counters: read } = await counters.read(rollout, 1)
    return read === 'lost' ? 0 : read.steps[0]?.bad['not-completed'].canary
  }
  while ((await cancelled()) !== 1) await new Promise(setImmediate)
  const paused = await other.rollouts.pause(operator(), decision(other.rollouts.view(), 'Wait.'))
  await ground.pass(3 * ROUND_MS, 100)
  const { live } = leader.rollouts.view()
  assert.deepEqual([live?.status, live?.step, leader.rollouts.view().epoch], ['paused', 0, paused.epoch])
  await Promise.all([leader.close(), other.close()])
})
