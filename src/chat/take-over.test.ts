import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { type ChatAtHand, chatAtHand, LEASE_MS, somebody, versionAtHand } from '../../test/support/chat-at-hand.ts'
import { ScriptedServing } from '../../test/support/scripted-serving.ts'
import { cancelTurn } from './store/commands.ts'
import { dropDeadline, dueDeadlines, noteDeadline } from './store/deadlines.ts'
import { claimTurn, releaseTurn } from './store/lease.ts'
import { deadlineEntry, deadlineShards, formerShards, turnKeys } from './store/turn-keys.ts'

async function dueIn({ store, clock }: ChatAtHand, ms: number): Promise<string[]> {
  clock.advance(ms)
  const due = await Promise.all(deadlineShards.map((shard) => store.run(dueDeadlines, [shard], [100])))
  return due.flat()
}

/** Another producer takes the turn as soon as it may, and is not heard of again. */
async function claimAndDie({ store, clock }: ChatAtHand, turn: string): Promise<number> {
  clock.advance(LEASE_MS + 1)
  const claim = await store.run(claimTurn, [turnKeys(somebody, turn).turn], ['mayfly', LEASE_MS])
  assert.ok(claim.kind === 'claimed')
  return claim.fence
}

test('a successor asks for the same runs by the same keys, and not for the step that was answered', async () => {
  await using lost = await chatAtHand({ say: [{ text: 'Let me see. ', calls: [{ name: 'act', arguments: '{}' }] }] })
  const { turn, events, ended } = await lost.begin('act')
  lost.reach('away')
  await using heir = await chatAtHand({ say: [{ text: 'Done.' }], sharing: lost })
  await lost.pass(2 * LEASE_MS)
  await ended
  assert.equal(events.at(-1)?.type, 'turn.failed')
  assert.deepEqual(
    heir.actions.dispatched.map(({ key }) => key),
    [`${turn}/0/0`],
  )
  assert.equal(heir.asked.length, 0)
  heir.actions.change(0, 'succeeded', '"done"')
  await heir.pass(500)
  const view = await heir.chat.get(somebody, turn)
  assert.deepEqual([view.status, view.text, view.receipt?.steps], ['completed', 'Let me see. Done.', 2])
  assert.equal(heir.asked[0]?.at(-1)?.content, '"done"')
})

for (const [producers, outcome] of [
  [4, 'completed'],
  [5, 'failed'],
] as const) {
  test(`a turn that ${producers} producers did not survive is ${outcome} by the next`, async () => {
    await using first = await chatAtHand({})
    const { turn, ended } = await first.begin('hello')
    first.reach('away')
    for (let fence = 1; fence < producers; ) fence = await claimAndDie(first, turn)
    await using last = await chatAtHand({ say: [{ text: 'Hello.' }], sharing: first })
    await first.pass(2 * LEASE_MS)
    await ended
    const { status, error } = await last.chat.get(somebody, turn)
    assert.equal(status, outcome)
    assert.deepEqual([error?.code, last.asked.length], outcome === 'failed' ? ['turn_lost', 0] : [undefined, 1])
    assert.deepEqual(last.actions.reportedLater, outcome === 'failed' ? [turn] : [])
    assert.deepEqual(await dueIn(last, LEASE_MS), [])
  })
}

test('a turn that went from one replica to the next, as each was told to stop, goes on', async () => {
  await using first = await chatAtHand({})
  const { turn, ended } = await first.begin('hello')
  first.reach('away')
  const record = turnKeys(somebody, turn).turn
  const claim = () => first.store.run(claimTurn, [record], ['another', LEASE_MS])
  for (let fence = 1; fence < 20; ) {
    assert.ok(await first.store.run(releaseTurn, [record], [fence]))
    const claimed = await claim()
    assert.ok(claimed.kind === 'claimed' && claimed.lost === 0)
    fence = claimed.fence
  }
  await using last = await chatAtHand({ say: [{ text: 'Hello.' }], sharing: first })
  await first.pass(2 * LEASE_MS)
  await ended
  assert.equal((await last.chat.get(somebody, turn)).status, 'completed')
})

test('a turn that was to be cancelled when its producer died is cancelled by its successor', async () => {
  await using lost = await chatAtHand({})
  const { turn, ended } = await lost.begin('hello')
  lost.reach('away')
  await lost.store.run(cancelTurn, [turnKeys(somebody, turn).turn], [])
  await using heir = await chatAtHand({ say: [], sharing: lost })
  await lost.pass(2 * LEASE_MS)
  await ended
  assert.equal((await heir.chat.get(somebody, turn)).status, 'cancelled')
})

test('a turn that a replica of an earlier version began is looked after where that noted it', async () => {
  await using lost = await chatAtHand({})
  const { turn, ended } = await lost.begin('hello')
  lost.reach('away')
  const { shard, member } = deadlineEntry(lost.conversations, somebody, turn)
  const former = formerShards.deadlines[deadlineShards.indexOf(shard)]
  assert.ok(former)
  await lost.store.run(dropDeadline, [shard], [member])
  await lost.store.run(noteDeadline, [former], [JSON.stringify([turn, somebody.tenant, somebody.id]), 1])
  await using heir = await chatAtHand({ say: [{ text: 'Hello.' }], sharing: lost })
  await lost.pass(3 * LEASE_MS)
  await ended
  assert.equal((await heir.chat.get(somebody, turn)).status, 'completed')
  lost.clock.advance(LEASE_MS)
  assert.deepEqual(await heir.store.run(dueDeadlines, [former], [100]), [])
})

test('a turn that nothing leads a sweeper to is gone on with when somebody finds that it holds up its conversation', async () => {
  await using lost = await chatAtHand({})
  const conversation = await lost.converse()
  const { turn, ended } = await lost.say(conversation, 'hello')
  lost.reach('away')
  await using heir = await chatAtHand({ say: [{ text: 'Hello.' }, { text: 'Again.' }], sharing: lost })
  const { shard, member } = deadlineEntry(lost.conversations, somebody, turn)
  await lost.store.run(dropDeadline, [shard], [member])
  await assert.rejects(heir.say(conversation, 'again'), { code: 'turn_in_progress' })
  await lost.pass(3 * LEASE_MS)
  await ended
  assert.equal((await heir.chat.get(somebody, turn)).status, 'running')
  await assert.rejects(heir.say(conversation, 'again'), { code: 'turn_in_progress' })
  await heir.pass(500)
  const { status, text } = await heir.chat.get(somebody, turn)
  assert.deepEqual([status, text], ['completed', 'Hello.'])
  await (await heir.say(conversation, 'again')).ended
})

test('a turn whose key was destroyed is given up, and looked at no more', async () => {
  await using lost = await chatAtHand({})
  const { turn, ended } = await lost.begin('hello')
  lost.reach('away')
  await lost.conversations.destroyKey(somebody)
  await using heir = await chatAtHand({ say: [{ text: 'Hello.' }], sharing: lost })
  assert.equal((await dueIn(lost, LEASE_MS)).length, 1)
  await lost.pass(LEASE_MS)
  await ended
  assert.deepEqual(await dueIn(heir, 2 * LEASE_MS), [])
  assert.deepEqual(heir.asked, [])
  await assert.rejects(heir.chat.get(somebody, turn), { code: 'turn_not_found' })
})

test('a turn whose key cannot be had here is left to a replica that has it, however often it was looked at', async () => {
  await using lost = await chatAtHand({})
  const { turn, ended } = await lost.begin('hello')
  lost.reach('away')
  let isShut = true
  const seal: typeof lost.conversations.seal = async (owner) => {
    if (isShut) throw new ParleyError('sealed_unreadable')
    return lost.conversations.seal(owner)
  }
  const conversations = { ...lost.conversations, seal }
  const { store, clock, archive } = lost
  await using heir = await chatAtHand({
    say: [{ text: 'Hello.' }],
    sharing: { store, clock, archive, conversations },
  })
  await lost.pass(10 * LEASE_MS)
  assert.equal(heir.asked.length, 0)
  isShut = false
  await lost.pass(2 * LEASE_MS)
  await ended
  assert.equal((await heir.chat.get(somebody, turn)).status, 'completed')
})

test('a reader whose key is another by now waits for the store that has it', async () => {
  await using hand = await chatAtHand({ say: [{ text: 'Hello.' }] })
  const { turn, ended } = await hand.begin('hello')
  await ended
  let asked = 0
  const seal: typeof hand.conversations.seal = async (owner) => ({
    ...(await hand.conversations.seal(owner)),
    unseal: () => {
      throw new ParleyError('erased')
    },
    renewed: async () => {
      asked += 1
      if (asked === 1) throw new ParleyError('state_unavailable')
      return hand.conversations.seal(owner)
    },
  })
  const { store, clock } = hand
  await using other = await chatAtHand({ sharing: { store, clock, conversations: { ...hand.conversations, seal } } })
  const read = Array.fromAsync(other.chat.read(somebody, turn, -1, new AbortController().signal))
  await other.pass(2000)
  const events = (await read).flat()
  assert.deepEqual([asked, events[0]?.type, events.at(-1)?.type], [2, 'notice', 'turn.completed'])
})

test('a turn whose version is out of reach waits for it, however often it was looked at', async () => {
  await using lost = await chatAtHand({})
  const { turn, ended } = await lost.begin('hello')
  lost.reach('away')
  const serving = new ScriptedServing(versionAtHand('v1'))
  let looked = 0
  const get = serving.get.bind(serving)
  serving.get = () => {
    looked += 1
    throw new ParleyError('blob_unavailable')
  }
  await using heir = await chatAtHand({ say: [{ text: 'Hello.' }], sharing: lost, serving })
  await lost.pass(10 * LEASE_MS)
  assert.ok(looked > 5, `${looked} looks`)
  assert.equal(heir.asked.length, 0)
  serving.get = get
  await lost.pass(2 * LEASE_MS)
  await ended
  assert.equal((await heir.chat.get(somebody, turn)).status, 'completed')
})

test('two sweepers meet in the claim: one of them goes on with the turn', async () => {
  await using lost = await chatAtHand({})
  const { turn, ended } = await lost.begin('hello')
  lost.reach('away')
  await using one = await chatAtHand({ say: [{ text: 'Hello.' }], sharing: lost })
  await using other = await chatAtHand({ say: [{ text: 'Hello.' }], sharing: lost })
  await lost.pass(2 * LEASE_MS)
  await ended
  const { status, text } = await one.chat.get(somebody, turn)
  assert.deepEqual([status, text], ['completed', 'Hello.'])
  assert.equal(one.asked.length + other.asked.length, 1)
})
