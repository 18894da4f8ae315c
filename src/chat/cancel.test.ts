import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chatAtHand, somebody } from '../../test/support/chat-at-hand.ts'

test('a turn that its owner cancels with the store away stops where it is produced', async () => {
  await using hand = await chatAtHand({ say: [] })
  const { turn, events, ended } = await hand.begin('hello')
  const cancelledWhileAway = async (principal: typeof somebody) => {
    hand.reach('away')
    await assert.rejects(hand.chat.cancel(principal, turn), { code: 'state_unavailable' })
    hand.reach('reachable')
    await hand.pass(3000)
    return (await hand.chat.get(somebody, turn)).status
  }
  assert.equal(await cancelledWhileAway({ ...somebody, id: 'somebody else' }), 'running')
  assert.equal(await cancelledWhileAway(somebody), 'cancelled')
  await ended
  assert.equal(events.at(-1)?.type, 'turn.cancelled')
})
