import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chatAtHand, somebody } from '../../test/support/chat-at-hand.ts'
import { placeOf, turnKeys } from './store/turn-keys.ts'
import { readInput, type TurnInput } from './turn-input.ts'

const input: TurnInput = {
  turn: `turn_${'0'.repeat(32)}`,
  principal: somebody,
  conversation: null,
  specialist: 'helper',
  config: 'v1',
  arm: 'stable',
  cohort: 'r1.0',
  message: 'hello',
  alone: null,
  followUp: null,
  readOnly: false,
  startedAt: 0,
}

test('what a turn was started with is read back, also from before there were follow-ups', async () => {
  await using hand = await chatAtHand({})
  const seal = await hand.conversations.seal(somebody)
  const keys = turnKeys(somebody, input.turn)
  const readBack = (kept: object) => readInput(seal, keys, seal.seal(JSON.stringify(kept), placeOf(keys.turn, 'input')))
  const { followUp: _, ...older } = input
  assert.deepEqual(readBack(older), input)
  const reporting = { ...input, followUp: { turn: 'turn_1', runs: [] } }
  assert.deepEqual(readBack(reporting), reporting)
})
