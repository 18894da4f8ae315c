import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { appendEvents } from '#chat/store/append.ts'
import { loadTurn } from '#chat/store/commands.ts'
import { commitTurn } from '#chat/store/commit.ts'
import { freeConversation, giveUpTurn } from '#chat/store/give-up.ts'
import { claimTurn, releaseTurn, renewLease } from '#chat/store/lease.ts'
import { openTurn } from '#chat/store/open.ts'
import { turnKeys } from '#chat/store/turn-keys.ts'
import { conversationKeys } from '#conversations/keys.ts'
import { newId } from '#ids.ts'
import type { Kv, Operation } from '#platform/kv/kv.ts'
import { startBothEngines } from '../support/both-engines.ts'

const engines = await startBothEngines()
const { redis, sqlite } = engines
after(() => engines[Symbol.asyncDispose]())

const HOUR = 3_600_000
const ana = { tenant: 'home', id: 'ana' }

/** KEYS conversation record. */
const converse: Operation<void> = {
  name: 'test.converse',
  lua: `redis.call('HSET', KEYS[1], 'live', '') return {}`,
  twin: (step, [record]) => {
    if (!record) throw new RangeError('test.converse needs a key')
    step.set(record, { live: '' })
    return []
  },
  decode: () => undefined,
}

/** A turn of a conversation, with a producer that has a lease of an hour. */
async function openedTurn(kv: Kv) {
  const [turn, conversation] = [newId('turn'), newId('conv')]
  const { turn: record, log } = turnKeys(ana, turn)
  const kept = conversationKeys(ana, conversation)
  await kv.run(converse, [kept.record], [])
  const open = (id: string, at: typeof record, events: typeof log) =>
    kv.run(
      openTurn,
      [at, at, events, kept.record, kept.messages, kept.index],
      [id, 'rep', HOUR, 'sealed', HOUR, '', HOUR, HOUR, 'event', HOUR],
    )
  assert.equal((await open(turn, record, log)).kind, 'opened')
  const next = async () => {
    const id = newId('turn')
    const keys = turnKeys(ana, id)
    return (await open(id, keys.turn, keys.log)).kind
  }
  const free = () => kv.run(freeConversation, [record, kept.record], [turn])
  const giveUp = (patienceMs: number, replica = 'rep') => kv.run(giveUpTurn, [record, log], [patienceMs, HOUR, replica])
  return { record, log, next, free, giveUp }
}
for (const [name, kv] of [
  ['Redis', redis],
  ['SQLite', sqlite],
] as const) {
  test(`${name}: a turn is given up once its patience is over, and holds up neither its conversation nor its producer`, async () => {
    const { record, log, next, free, giveUp } = await openedTurn(kv)
    assert.deepEqual([await giveUp(0), await next(), await free()], [{ kind: 'stuck', forMs: 0 }, 'busy', false])
    await pause(5)
    const stuck = await giveUp(HOUR)
    assert.ok(stuck.kind === 'stuck' && stuck.forMs > 0 && stuck.forMs < HOUR)
    assert.equal((await giveUp(1, 'another')).kind, 'stuck')
    assert.deepEqual([await giveUp(1), await giveUp(1)], [{ kind: 'given-up' }, { kind: 'known' }])
    const lost = await kv.run(loadTurn, [record], [])
    assert.deepEqual([lost?.state, lost?.end], ['done', undefined])
    assert.deepEqual(await kv.run(appendEvents, [record, log], ['1', 1, 1, 'more', HOUR]), { kind: 'refused' })
    assert.deepEqual(await kv.run(claimTurn, [record], ['rep', HOUR]), { kind: 'done' })
    assert.deepEqual([await next(), await free(), await free(), await next()], ['busy', true, false, 'opened'])
  })

  test(`${name}: of the producers of a turn those are counted that were lost, not those that let go of it`, async () => {
    const { record } = await openedTurn(kv)
    const claim = async () => {
      const claimed = await kv.run(claimTurn, [record], ['rep', 1])
      await pause(5)
      return claimed.kind === 'claimed' ? [claimed.fence, claimed.lost] : claimed.kind
    }
    const release = (fence: number) => kv.run(releaseTurn, [record], [fence])
    assert.equal(await claim(), 'held')
    assert.deepEqual([await release(1), await claim()], [true, [2, 0]])
    assert.deepEqual([await claim(), await release(3), await claim()], [[3, 1], true, [4, 1]])
    assert.deepEqual(await claim(), [5, 2])
  })

  test(`${name}: one whose record is gone is nobody's, and its conversation goes on`, async () => {
    const { record, log, giveUp, free, next } = await openedTurn(kv)
    await kv.delete(record)
    const gone = { kind: 'gone' }
    assert.deepEqual(await kv.run(appendEvents, [record, log], ['1', 1, 1, 'more', HOUR]), gone)
    assert.deepEqual(await kv.run(renewLease, [record], ['1', HOUR]), gone)
    assert.equal(await kv.run(commitTurn, [record, log], ['1', 1, 1, 'more', 'end', HOUR, HOUR]), 'gone')
    assert.deepEqual([await giveUp(0), await free(), await next()], [{ kind: 'gone' }, true, 'opened'])
  })
}
