import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chatAtHand, LEASE_MS, somebody } from '../../test/support/chat-at-hand.ts'
import { dataOf } from './event-codec.ts'
import { turnLimits } from './limits.ts'
import type { TurnEvent } from './turn-events.ts'

const act = { calls: [{ name: 'act', arguments: '{"n":1}' }] }
const approval = { hash: 'ab'.repeat(32), roles: ['Action.Approver', 'Admin'], expiresAt: Date.UTC(2026, 0, 6) }
const runsOf = (events: readonly TurnEvent[]) =>
  events.filter((event): event is TurnEvent<'run'> => event.type === 'run').map((event) => dataOf(event))

test('a run that waits for approval shows what is to be approved, by whom and until when, as long as it does', async () => {
  await using hand = await chatAtHand({ say: [act, { text: 'Done.' }] })
  const { events, ended } = await hand.begin('act')
  hand.actions.change(0, 'awaiting-approval', { output: undefined, approval })
  hand.actions.change(0, 'awaiting-approval', { output: undefined, approval })
  const edited = { ...approval, hash: 'cd'.repeat(32) }
  hand.actions.change(0, 'awaiting-approval', { output: undefined, approval: edited })
  hand.actions.change(0, 'queued', { output: undefined, approval: edited })
  hand.actions.change(0, 'succeeded', '"done"')
  await ended
  const at = { id: 'run_0', action: 'act', step: 0, index: 0 }
  assert.deepEqual(runsOf(events), [
    { ...at, status: 'queued' },
    { ...at, status: 'awaiting-approval', approval },
    { ...at, status: 'awaiting-approval', approval: edited },
    { ...at, status: 'queued' },
    { ...at, status: 'succeeded', output: '"done"' },
  ])
  assert.equal(hand.asked[1]?.at(-1)?.content, '"done"')
})

test('an approval that takes longer than its share is told to be pending, and the turn ends with words', async () => {
  await using hand = await chatAtHand({ say: [act, { text: 'It waits for approval.' }] })
  const { turn, events, ended } = await hand.begin('act')
  hand.actions.change(0, 'awaiting-approval', { output: undefined, approval })
  await hand.pass(turnLimits.actionWaitMs - 500)
  assert.equal(hand.asked.length, 1)
  await hand.pass(500)
  await ended
  assert.equal(
    hand.asked[1]?.at(-1)?.content,
    'The action has not been done yet: it waits for approval by somebody with the role Action.Approver or Admin, until 2026-01-06T00:00:00.000Z. Say so. What comes of it will be reported later; do not call it again.',
  )
  assert.equal(events.at(-1)?.type, 'turn.completed')
  const { text, status, receipt, toolCalls } = await hand.chat.get(somebody, turn)
  assert.deepEqual([text, status, toolCalls], ['It waits for approval.', 'completed', []])
  assert.deepEqual(receipt?.runs, [{ id: 'run_0', action: 'act', status: 'awaiting-approval' }])
})

test('the same holds where the caller brings tools of its own', async () => {
  await using hand = await chatAtHand({ say: [act, { text: 'It waits.' }] })
  const tools = [{ type: 'function', function: { name: 'own', parameters: { type: 'object' } } }]
  const { events, ended } = await hand.begin('act', { tools })
  hand.actions.change(0, 'awaiting-approval', { output: undefined, approval })
  await hand.pass(turnLimits.actionWaitMs)
  await ended
  assert.equal(hand.actions.dispatched[0]?.untrusted, true)
  assert.match(String(events.at(-1)?.data), /"finish":"stop"/)
})

test('a run that waits for its principal to sign in is told so soon, and not before whoever is on the way has come', async () => {
  await using hand = await chatAtHand({ say: [act, { text: 'Sign in.' }] })
  const { ended } = await hand.begin('act')
  hand.actions.change(0, 'awaiting-identity')
  await hand.pass(turnLimits.identityWaitMs - 1)
  hand.actions.change(0, 'queued')
  await hand.pass(turnLimits.identityWaitMs)
  hand.actions.change(0, 'awaiting-identity')
  await hand.pass(turnLimits.identityWaitMs - 1)
  assert.equal(hand.asked.length, 1)
  await hand.pass(1)
  await ended
  assert.match(String(hand.asked[1]?.at(-1)?.content), /waits until the user signs in again.*do not call it again/)
})

test('a call that is pending is not made again in its turn; another one is, and so is the same once it has ended', async () => {
  const other = { calls: [{ name: 'act', arguments: '{"n":2}' }] }
  await using hand = await chatAtHand({ say: [act, act, other, { calls: [...other.calls] }, { text: 'Enough.' }] })
  const { events, ended } = await hand.begin('act')
  await hand.pass(turnLimits.actionWaitMs)
  assert.match(String(hand.asked[2]?.at(-1)?.content), /made before .* is not made again/)
  hand.actions.change(1, 'failed', 'No.')
  await hand.pass(1)
  hand.actions.change(2, 'succeeded', '2')
  await ended
  assert.deepEqual(
    hand.actions.dispatched.map(({ key, arguments: args }) => [key.split('/').slice(1).join('/'), args]),
    [
      ['0/0', '{"n":1}'],
      ['2/0', '{"n":2}'],
      ['3/0', '{"n":2}'],
    ],
  )
  assert.deepEqual(
    runsOf(events).map(({ step, status }) => [step, status]),
    [
      [0, 'queued'],
      [1, 'rejected'],
      [2, 'queued'],
      [2, 'failed'],
      [3, 'queued'],
      [3, 'succeeded'],
    ],
  )
})

test('a successor tells the model of an approval what its producer would have told', async () => {
  await using lost = await chatAtHand({ say: [act] })
  const { turn, ended } = await lost.begin('act')
  lost.actions.change(0, 'awaiting-approval', { output: undefined, approval })
  await lost.pass(500)
  lost.reach('away')
  await using heir = await chatAtHand({ say: [{ text: 'It waits.' }], sharing: lost, actions: lost.actions })
  await lost.pass(2 * LEASE_MS + turnLimits.actionWaitMs)
  await ended
  assert.match(
    String(heir.asked[0]?.at(-1)?.content),
    /waits for approval by somebody with the role Action\.Approver or/,
  )
  assert.equal((await heir.chat.get(somebody, turn)).text, 'It waits.')
  assert.equal(lost.actions.dispatched.length, 1)
})

test('an approval that is given days after the turn is reported by a follow-up', async () => {
  await using hand = await chatAtHand({ say: [act, { text: 'It waits.' }, { text: 'It is done.' }] })
  const conversation = await hand.converse()
  const { ended } = await hand.say(conversation, 'act')
  hand.actions.change(0, 'awaiting-approval', { output: undefined, approval })
  await hand.pass(turnLimits.actionWaitMs)
  await ended
  hand.clock.advance(3 * 24 * 60 * 60_000)
  hand.actions.change(0, 'queued')
  await hand.pass(1)
  assert.equal(hand.asked.length, 2, 'nothing came of it yet')
  hand.actions.change(0, 'succeeded', '"done"')
  await hand.pass(1)
  const { items } = await hand.conversations.messages(somebody, conversation, -1, 100)
  assert.equal(items.at(-1)?.content, 'It is done.')
})
