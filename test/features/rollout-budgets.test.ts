import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BudgetReached } from '#events/events.ts'
import { type Conversation, canary, openRolloutGround, operator, ROUND_MS } from '../support/rollouts-at-hand.ts'

const MINUTE = 60_000
const segment = { model: 'm', inputTokens: 1, outputTokens: 1 }
const usual = { segments: [{ ...segment, costUsd: 0.01 }] }
const dear = { segments: [{ ...segment, costUsd: 0.5 }] }
const refused = { status: 'failed', finish: null, code: 'budget_exceeded' } as const

/** A call of this conversation has reached so much of its tenant's budget. */
function reached({ config, arm, cohort, unit }: Conversation, percent: number): BudgetReached {
  const served = { config: config.name, arm, cohort, unit }
  return { tenant: 'local', scope: 'tenant:local', percent, spentUsd: 10, limitUsd: 10, served, at: 0 }
}

test('a dearer canary by whose call a budget comes to its end rolls back at once', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground, 250, usual)
  const those = Array.from({ length: 4 }, () => replica.converse({ arm: 'canary', ...dear }))
  for (const one of those) replica.events.emit('budget.reached', reached(one, 95))
  await ground.pass(ROUND_MS)
  assert.ok(replica.rollouts.view().live, 'it is not at its end yet')
  for (const one of those.slice(-1)) replica.events.emit('budget.reached', reached(one, 100))
  await ground.pass(2 * ROUND_MS)
  const [ended] = replica.rollouts.view().finished
  assert.equal(ended?.outcome, 'rolled-back')
  assert.match(ended?.reason ?? '', /^Roll back: a budget came to its end by a call of v2, none by stable/)
  await replica.close()
})

test('so does one whose call no longer fits into what is left', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground, 250, usual)
  for (let n = 0; n < 3; n++) replica.converse({ arm: 'canary', ...dear })
  replica.converse({ arm: 'canary', ...dear, ...refused })
  await ground.pass(2 * ROUND_MS)
  assert.match(replica.rollouts.view().finished[0]?.reason ?? '', /a budget came to its end by a call of v2/)
  await replica.close()
})

test('it does not where stable brings one to its end in the same minute, or where the canary costs no more', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground, 250, usual)
  replica.converse({ arm: 'stable', ...refused })
  for (let n = 0; n < 4; n++) replica.converse({ arm: 'canary', ...dear, ...(n === 3 && refused) })
  await ground.pass(2 * MINUTE)
  assert.ok(replica.rollouts.view().live, 'shared')
  await replica.close()

  await using other = await openRolloutGround()
  const second = await canary(other)
  for (let n = 0; n < 40; n++) second.converse({ arm: n % 20 === 0 ? 'canary' : 'stable', ...usual })
  second.events.emit('budget.reached', reached(second.converse({ arm: 'canary', ...usual }), 100))
  await other.pass(2 * MINUTE)
  assert.ok(second.rollouts.view().live, 'no dearer')
  assert.equal(second.rollouts.view().verdict.decision, 'hold')
  await second.close()
})

test('with too little of stable to tell, a person decides, and is asked once', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground, 50, usual)
  replica.events.emit('budget.reached', reached(replica.converse({ arm: 'canary', ...dear }), 100))
  await ground.pass(2 * ROUND_MS)
  const { live, etag } = replica.rollouts.view()
  assert.deepEqual([live?.status, live?.paused?.cause], ['paused', 'incomparable'])
  await replica.rollouts.resume(operator(), { reason: 'It is fine.', ifMatch: etag })
  await ground.pass(2 * ROUND_MS)
  assert.equal(replica.rollouts.view().live?.status, 'canary')
  await replica.close()
})
