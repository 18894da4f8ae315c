import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { actionsAtHand } from '../../test/support/actions-at-hand.ts'
import { type ChatAtHand, chatAtHand, LEASE_MS, type Say, somebody } from '../../test/support/chat-at-hand.ts'
import { manualClock } from '../../test/support/clock.ts'

const FOLLOW_UP_LEASE_MS = 30_000
const done: Say = { text: 'Done.' }
const runs = [{ id: 'run_7', key: 'k', action: 'act', status: 'succeeded' as const, output: '"T-1"' }]

async function leave(hand: ChatAtHand, conversation: string, quietly?: 'quietly') {
  return hand.actions.leave({ turn: 'turn_1', conversation, principal: somebody, runs }, quietly)
}

async function kept({ conversations }: ChatAtHand, conversation: string) {
  const { items } = await conversations.messages(somebody, conversation, -1, 100)
  return items.map(({ role, kind, content }) => [kind ?? role, kind ? content.includes('T-1') : content])
}

const reportedOnce = [
  ['follow-up', true],
  ['assistant', 'Done.'],
]

test('two replicas that take the same late results report them once', async () => {
  await using one = await chatAtHand({ say: [done, done] })
  const { actions } = one
  await using other = await chatAtHand({ say: [done, done], sharing: one, actions })
  // As when a lease runs out while its holder is at work.
  actions.port.takeFollowUps = async () => [...actions.waiting.values()]
  const { followUpDone } = actions.port
  actions.port.followUpDone = async (id) => {
    for (let turn = 0; turn < 3; turn++) await setImmediate()
    await followUpDone(id)
  }
  const conversation = await one.converse()
  await leave(one, conversation)
  await one.pass(60_000)
  assert.deepEqual(await kept(one, conversation), reportedOnce)
  assert.equal(one.asked.length + other.asked.length, 1)
  assert.ok(Number(actions.done.get('fu_0')) >= 2, 'both did it')
})

test('after a crash between the report and the note that it is done, another replica only makes the note', async () => {
  await using lost = await chatAtHand({ say: [done] })
  const { followUpDone } = lost.actions.port
  lost.actions.port.followUpDone = async () => {
    throw new Error('crashed')
  }
  const conversation = await lost.converse()
  await leave(lost, conversation)
  await lost.pass(1)
  assert.deepEqual(await kept(lost, conversation), reportedOnce)
  await lost.chat.drain(0)
  lost.actions.port.followUpDone = followUpDone
  await using heir = await chatAtHand({ say: [done], sharing: lost, actions: lost.actions })
  await lost.pass(FOLLOW_UP_LEASE_MS - 2000)
  assert.equal(lost.actions.waiting.size, 1)
  await lost.pass(7000)
  assert.deepEqual([...lost.actions.done], [['fu_0', 1]])
  assert.deepEqual(await kept(heir, conversation), reportedOnce)
  assert.equal(heir.asked.length, 0)
})

test('a report whose producer is lost is made by the replica that takes the turn over', async () => {
  await using lost = await chatAtHand({})
  const conversation = await lost.converse()
  await leave(lost, conversation)
  await lost.pass(1)
  assert.equal(lost.asked.length, 1)
  lost.reach('away')
  await using heir = await chatAtHand({ say: [done], sharing: lost })
  await lost.pass(2 * LEASE_MS)
  assert.deepEqual(heir.asked, lost.asked)
  assert.deepEqual(heir.offered, [undefined])
  assert.deepEqual(await kept(heir, conversation), reportedOnce)
})

test('what a replica holds when it stops is reported by another once the lease is over', async () => {
  const clock = manualClock()
  const actions = actionsAtHand(clock)
  const busy = Promise.withResolvers<Say>()
  await using heir = await chatAtHand({ say: [busy.promise, done], clock })
  await using stopping = await chatAtHand({ say: [done], sharing: heir, actions })
  const conversation = await heir.converse()
  const { ended } = await heir.say(conversation, 'hello')
  await leave(stopping, conversation)
  await heir.pass(1)
  await stopping.chat.drain(0)
  await using third = await chatAtHand({ say: [done], sharing: heir, actions })
  busy.resolve({ text: 'Hello.' })
  await ended
  await heir.pass(FOLLOW_UP_LEASE_MS - 2000)
  assert.deepEqual([actions.waiting.size, third.asked.length], [1, 0])
  await heir.pass(7000)
  assert.deepEqual([actions.waiting.size, stopping.asked.length, third.asked.length], [0, 0, 1])
  assert.deepEqual((await kept(third, conversation)).slice(-2), reportedOnce)
})

test('what a successor heard while it waited anew is not reported once more', async () => {
  const act: Say = { calls: [{ name: 'act', arguments: '{}' }] }
  await using lost = await chatAtHand({ say: [act] })
  const conversation = await lost.converse()
  const { turn, ended } = await lost.say(conversation, 'act')
  const key = `${turn}/0/0`
  await lost.pass(500)
  lost.reach('away')
  await using heir = await chatAtHand({ say: [done, done, done], sharing: lost, actions: lost.actions })
  await lost.pass(2 * LEASE_MS)
  await ended
  lost.actions.change(0, 'succeeded', '"T-1"')
  const run = { id: 'run_0', key, action: 'act', status: 'succeeded' as const, output: '"T-1"' }
  const late = { turn, conversation, principal: somebody }
  lost.actions.leave({ ...late, runs: [run] })
  await lost.pass(60_000)
  assert.deepEqual(lost.actions.waiting.size, 0)
  assert.equal(heir.asked.length, 1, 'only the turn itself')
  lost.actions.leave({ ...late, runs: [run, { ...run, id: 'run_1', key: `${turn}/0/1` }] })
  lost.actions.leave({ ...late, runs: [{ ...run, output: '"another"' }] })
  await lost.pass(60_000)
  const told = heir.asked.slice(1).map((prompt) => String(prompt.at(-1)?.content).match(/"run":"\w+"/g))
  assert.deepEqual(told.toSorted(), [['"run":"run_0"'], ['"run":"run_1"']])
})

test('a replica that could not report in time leaves it to the one that took over', async () => {
  const long = Promise.withResolvers<Say>()
  await using full = await chatAtHand({ say: [long.promise], atOnce: 1 })
  const { actions } = full
  const conversation = await full.converse()
  const { ended } = await full.begin('hello')
  await full.pass(2000)
  await using other = await chatAtHand({ say: [done], sharing: full, actions })
  await leave(full, conversation, 'quietly')
  await full.pass(30_000)
  assert.deepEqual([actions.waiting.size, other.asked.length], [1, 0])
  await full.pass(6000)
  assert.deepEqual([actions.waiting.size, other.asked.length], [0, 1])
  long.resolve({ text: 'Hello.' })
  await ended
  await full.pass(60_000)
  assert.deepEqual([...actions.done], [['fu_0', 1]])
})
