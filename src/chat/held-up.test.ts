import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chatAtHand } from '../../test/support/chat-at-hand.ts'

test('a process that was held up reads what the store has answered before it takes it for away', async () => {
  const call = { calls: [{ name: 'act', arguments: '{}' }] }
  await using hand = await chatAtHand({ say: [call, { text: 'Done.' }] })
  const { events, ended } = await hand.begin('hello')
  hand.reach('silent')
  hand.actions.change(0, 'running')
  await hand.pass(1)
  hand.clock.stall(2000)
  await hand.pass(1)
  // What was in the socket all the time.
  hand.reach('reachable')
  await hand.pass(1)
  await hand.pass(1000)
  hand.actions.change(0, 'succeeded', '"done"')
  await ended
  assert.deepEqual(
    events.filter(({ position }) => position === undefined),
    [],
  )
  assert.equal(events.at(-1)?.type, 'turn.completed')
})
