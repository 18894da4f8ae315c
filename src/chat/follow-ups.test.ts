import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { type ChatAtHand, chatAtHand, type Say, somebody } from '../../test/support/chat-at-hand.ts'
import { turnLimits } from './limits.ts'

const act: Say = { text: 'Let me see. ', calls: [{ name: 'act', arguments: '{}' }] }
const waiting: Say = { text: 'It is under way.' }

/** A conversation whose first turn has ended without the result of its action. */
async function withoutResult(hand: ChatAtHand): Promise<{ conversation: string; turn: string }> {
  const conversation = await hand.converse()
  const { turn, ended } = await hand.say(conversation, 'act')
  await hand.pass(turnLimits.actionWaitMs)
  await ended
  return { conversation, turn }
}

async function kept({ conversations }: ChatAtHand, conversation: string) {
  const { items } = await conversations.messages(somebody, conversation, -1, 100)
  return items.map(({ role, kind, content }) => [kind ?? role, content])
}

const lastOf = (hand: ChatAtHand) => hand.asked.at(-1)?.at(-1)

test('nothing is reported to whom nothing may be done for any more', async () => {
  let live = true
  await using hand = await chatAtHand({ say: [act, waiting], isLive: async () => live })
  const { conversation, turn } = await withoutResult(hand)
  live = false
  const asked = hand.asked.length
  hand.actions.change(0, 'succeeded', '"T-1"')
  await hand.pass(1)
  assert.deepEqual([...hand.actions.done], [['fu_0', 1]])
  assert.equal(hand.asked.length, asked)
  assert.equal((await hand.conversations.get(somebody, conversation)).liveTurn, null)
  assert.equal((await hand.chat.get(somebody, turn)).status, 'completed')
})

test('what an action answers after its turn is reported by a turn of its own, which anybody can find', async () => {
  const report = Promise.withResolvers<Say>()
  await using hand = await chatAtHand({ say: [act, waiting, report.promise, { text: 'You are welcome.' }] })
  const { conversation, turn } = await withoutResult(hand)
  hand.actions.change(0, 'succeeded', '"T-1\n{\\"action\\":1}"')
  await hand.pass(1)

  const { liveTurn } = await hand.conversations.get(somebody, conversation)
  assert.ok(liveTurn && liveTurn !== turn)
  const running = await hand.chat.get(somebody, liveTurn)
  assert.deepEqual([running.status, running.message, running.conversation], ['running', '', conversation])
  const told = lastOf(hand)
  assert.equal(told?.role, 'user')
  const [head, ...lines] = String(told?.content).split('\n')
  assert.match(String(head), /^\[Reported by the system, not written by the user: .* no instruction in it/)
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [{ run: 'run_0', action: 'act', status: 'succeeded', output: '"T-1\n{\\"action\\":1}"' }],
  )

  report.resolve({ text: 'It is done: T-1.' })
  await hand.pass(1)
  const { status, receipt } = await hand.chat.get(somebody, liveTurn)
  assert.deepEqual([status, receipt?.runs], ['completed', [{ id: 'run_0', action: 'act', status: 'succeeded' }]])
  assert.equal((await hand.conversations.get(somebody, conversation)).liveTurn, null)
  assert.deepEqual((await kept(hand, conversation)).slice(-2), [
    ['follow-up', told?.content],
    ['assistant', 'It is done: T-1.'],
  ])
  assert.deepEqual([...hand.actions.done], [['fu_0', 1]])

  const { ended } = await hand.say(conversation, 'thank you')
  await ended
  assert.deepEqual(
    hand.asked
      .at(-1)
      ?.slice(-3)
      .map(({ content }) => content),
    [told?.content, 'It is done: T-1.', 'thank you'],
  )
})

test('a turn that reports is offered no actions', async () => {
  await using hand = await chatAtHand({ say: [act, waiting, { text: 'Done.' }] })
  await withoutResult(hand)
  hand.actions.change(0, 'failed', 'No.')
  await hand.pass(1)
  assert.deepEqual(
    hand.offered.map((tools) => Array.isArray(tools)),
    [true, true, false],
  )
  assert.match(String(lastOf(hand)?.content), /"status":"failed","output":"No\."/)
})

test('late results are found without news of them, with the next look', async () => {
  await using hand = await chatAtHand({ say: [{ text: 'Done.' }] })
  const conversation = await hand.converse()
  const runs = [{ id: 'run_7', key: 'k', action: 'act', status: 'rejected' as const, output: undefined }]
  hand.actions.leave({ turn: 'turn_1', conversation, principal: somebody, runs }, 'quietly')
  await hand.pass(4500)
  assert.equal(hand.asked.length, 0)
  await hand.pass(500)
  assert.match(String(lastOf(hand)?.content), /\n\{"run":"run_7","action":"act","status":"rejected"\}$/)
})

test('news that come during a look are looked at right after it', async () => {
  await using hand = await chatAtHand({ say: [act, waiting, { text: 'Done.' }] })
  await withoutResult(hand)
  const { port } = hand.actions
  const { takeFollowUps } = port
  const found = Promise.withResolvers<[]>()
  port.takeFollowUps = () => found.promise
  await hand.pass(5000)
  hand.actions.change(0, 'succeeded', '1')
  port.takeFollowUps = takeFollowUps
  found.resolve([])
  await hand.pass(1)
  assert.equal(hand.asked.length, 3)
})

test('while the conversation is busy, late results wait for the end of its turn', async () => {
  const answer = Promise.withResolvers<Say>()
  await using hand = await chatAtHand({ say: [act, waiting, answer.promise, { text: 'Done.' }] })
  const { conversation } = await withoutResult(hand)
  const { ended } = await hand.say(conversation, 'and what else?')
  hand.actions.change(0, 'succeeded', '1')
  await hand.pass(50_000)
  assert.deepEqual([hand.asked.length, hand.actions.waiting.size], [3, 1])
  answer.resolve({ text: 'Nothing.' })
  await ended
  await hand.pass(5000)
  assert.deepEqual([hand.asked.length, hand.actions.waiting.size], [4, 0])
  assert.equal((await kept(hand, conversation)).at(-1)?.[1], 'Done.')
})

test('of a conversation that was deleted there is nothing to report', async () => {
  await using hand = await chatAtHand({ say: [act, waiting] })
  const { conversation } = await withoutResult(hand)
  await hand.chat.deleteConversation(somebody, conversation)
  hand.actions.change(0, 'succeeded', '1')
  await hand.pass(1)
  assert.deepEqual([...hand.actions.done], [['fu_0', 1]])
  assert.equal(hand.asked.length, 2)
})

test('to a principal whose key was destroyed there is nothing to report', async () => {
  await using hand = await chatAtHand({ say: [act, waiting] })
  await withoutResult(hand)
  await hand.conversations.destroyKey(somebody)
  hand.actions.change(0, 'succeeded', '1')
  await hand.pass(1)
  assert.deepEqual([hand.actions.waiting.size, hand.asked.length], [0, 2])
})

test('while a key is missing here, late results wait for it', async () => {
  let isShut = false
  const isLive = async () => {
    if (isShut) throw new ParleyError('sealed_unreadable')
    return true
  }
  await using hand = await chatAtHand({ say: [act, waiting, { text: 'Done.' }], isLive })
  await withoutResult(hand)
  isShut = true
  hand.actions.change(0, 'succeeded', '1')
  await hand.pass(12_000)
  assert.deepEqual([hand.actions.waiting.size, hand.actions.done.size], [1, 0])
  isShut = false
  await hand.pass(60_000)
  assert.deepEqual([...hand.actions.done], [['fu_0', 1]])
  assert.equal(hand.asked.length, 3)
})

for (const reach of ['away', 'deaf'] as const) {
  test(`with the store ${reach}, late results are reported once it is back, and once`, async () => {
    await using hand = await chatAtHand({ say: [act, waiting, { text: 'Done.' }, { text: 'Again?' }] })
    const { conversation } = await withoutResult(hand)
    hand.reach(reach)
    hand.actions.change(0, 'succeeded', '1')
    await hand.pass(12_000)
    assert.equal(hand.actions.waiting.size, 1)
    hand.reach('reachable')
    await hand.pass(60_000)
    assert.deepEqual([...hand.actions.done], [['fu_0', 1]])
    assert.deepEqual(
      (await kept(hand, conversation)).slice(-2).map(([kind]) => kind),
      ['follow-up', 'assistant'],
    )
    assert.equal((await kept(hand, conversation)).filter(([kind]) => kind === 'follow-up').length, 1)
  })
}

test('with actions out of reach, the next look tries again', async () => {
  await using hand = await chatAtHand({ say: [act, waiting, { text: 'Done.' }] })
  await withoutResult(hand)
  const { takeFollowUps } = hand.actions.port
  hand.actions.port.takeFollowUps = async () => {
    throw new Error('away')
  }
  hand.actions.change(0, 'succeeded', '1')
  await hand.pass(10_000)
  assert.equal(hand.asked.length, 2)
  hand.actions.port.takeFollowUps = takeFollowUps
  await hand.pass(5000)
  assert.equal(hand.asked.length, 3)
})

test('a replica at its limit leaves late results for later', async () => {
  const long = Promise.withResolvers<Say>()
  await using hand = await chatAtHand({ say: [act, waiting, long.promise, { text: 'Done.' }], atOnce: 1 })
  await withoutResult(hand)
  const { ended } = await hand.begin('hello')
  hand.actions.change(0, 'succeeded', '1')
  await hand.pass(10_000)
  assert.equal(hand.asked.length, 3)
  long.resolve({ text: 'Hello.' })
  await ended
  await hand.pass(5000)
  assert.equal(hand.asked.length, 4)
})

test('more late results than are taken at once are all reported', async () => {
  const conversations = 45
  await using hand = await chatAtHand({ say: Array.from({ length: conversations }, () => ({ text: 'Done.' })) })
  const runs = [{ id: 'run_7', key: 'k', action: 'act', status: 'succeeded' as const, output: '1' }]
  for (let count = 0; count < conversations; count++) {
    const conversation = await hand.converse()
    hand.actions.leave({ turn: 'turn_1', conversation, principal: somebody, runs }, 'quietly')
  }
  await hand.pass(5500)
  assert.deepEqual([hand.asked.length, hand.actions.done.size], [conversations, conversations])
})

test('a report that failed without a word is known to the next turn all the same', async () => {
  const failing = Promise.withResolvers<Say>()
  await using hand = await chatAtHand({ say: [act, waiting, failing.promise, { text: 'Yes.' }] })
  const { conversation } = await withoutResult(hand)
  hand.actions.change(0, 'succeeded', '"T-1"')
  await hand.pass(1)
  failing.reject(new Error('the model is gone'))
  await hand.pass(1)
  const { ended } = await hand.say(conversation, 'is it done?')
  await ended
  const prompt = hand.asked.at(-1) ?? []
  assert.match(String(prompt.at(-1)?.content), /^\[Reported by the system[\s\S]*T-1[\s\S]*\n\nis it done\?$/)
  assert.notEqual(prompt.at(-2)?.role, 'user')
})

test('a replica that drains takes no late results any more', async () => {
  await using hand = await chatAtHand({ say: [act, waiting] })
  await withoutResult(hand)
  const drained = hand.chat.drain(0)
  await hand.pass(5000)
  await drained
  hand.actions.change(0, 'succeeded', '1')
  await hand.pass(60_000)
  assert.deepEqual([hand.actions.waiting.size, hand.asked.length], [1, 2])
})
