import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replyTo } from '#models/providers/offline/reply.ts'
import { chatAtHand, type Say, somebody } from '../support/chat-at-hand.ts'

test('the offline model tells what came of an action, from the very words it is told', async () => {
  const answer = Promise.withResolvers<Say>()
  await using hand = await chatAtHand({ say: [answer.promise] })
  const conversation = await hand.converse()
  const run = { id: 'run_1', key: 'k', action: 'create_ticket', status: 'succeeded' as const, output: '{"id":"T-1"}' }
  hand.actions.leave({ turn: 'turn_1', conversation, principal: somebody, runs: [run] })
  await hand.pass(1)
  const { text } = replyTo({ messages: hand.asked[0] })
  assert.equal(text, 'About what you asked for earlier: create_ticket gives T-1.')
  answer.resolve({ text })
  await hand.pass(1)
  const { items } = await hand.conversations.messages(somebody, conversation, -1, 10)
  assert.equal(items.at(-1)?.content, text)
})
