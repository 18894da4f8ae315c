import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import type { TurnEnded } from '#events/events.ts'
import { type ChatAtHand, chatAtHand, LEASE_MS, somebody } from '../../test/support/chat-at-hand.ts'
import { dueDeadlines } from './store/deadlines.ts'
import { deadlineShards } from './store/turn-keys.ts'

const away = new ParleyError('database_unavailable')

/** The turns whose deadline stays noted, whenever it is due. */
async function noted({ store, clock }: ChatAtHand): Promise<number> {
  clock.advance(0)
  const due = await Promise.all(deadlineShards.map((shard) => store.run(dueDeadlines, [shard], [100])))
  return due.flat().length
}

test('nobody waits for what a turn cost to be kept; its deadline does', async () => {
  const kept: string[] = []
  const free = Promise.withResolvers<void>()
  const settled = async (turn: TurnEnded) => {
    await free.promise
    kept.push(turn.turn)
  }
  await using hand = await chatAtHand({ say: [{ text: 'Hello.' }], settled })
  const { turn, ended } = await hand.begin('hello')
  await ended
  assert.equal((await hand.chat.get(somebody, turn)).status, 'completed')
  assert.deepEqual(kept, [])
  free.resolve()
  await hand.pass(3 * LEASE_MS)
  assert.deepEqual([...new Set(kept)], [turn])
  assert.equal(await noted(hand), 0)
})

test('a turn that was told of in vain is told again, until it is kept, the same each time', async () => {
  const told: TurnEnded[] = []
  let isAway = true
  const settled = async (turn: TurnEnded) => {
    told.push(turn)
    if (isAway) throw away
  }
  await using hand = await chatAtHand({ say: [{ text: 'Hello.' }], settled })
  const { ended } = await hand.begin('hello')
  await ended
  await hand.pass(4 * LEASE_MS)
  assert.ok(told.length >= 3, `${told.length}`)
  isAway = false
  await hand.pass(2 * LEASE_MS)
  const { length } = told
  await hand.pass(4 * LEASE_MS)
  assert.equal(told.length, length, 'nothing is told any more')
  for (const fact of told) assert.deepEqual(fact, told[0])
  assert.equal(
    hand.told.filter(({ name }) => name === 'turn.ended').length <= 2,
    true,
    'others hear of it once or twice',
  )
})

test('a process that dies between commit and ledger leaves the turn to another', async () => {
  await using died = await chatAtHand({ say: [{ text: 'Hello.' }], settled: () => new Promise(() => {}) })
  const { turn, ended } = await died.begin('hello')
  await ended
  died.reach('away')
  const kept: string[] = []
  const settled = async (fact: TurnEnded) => void kept.push(fact.turn)
  await using other = await chatAtHand({ sharing: died, settled })
  await other.pass(4 * LEASE_MS)
  assert.deepEqual(kept, [turn])
})
