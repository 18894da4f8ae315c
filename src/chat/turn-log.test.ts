import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LEASE_MS, type Seen, type TurnLogAtHand, turnLogAtHand } from '../../test/support/turn-log-at-hand.ts'
import { turnLimits } from './limits.ts'
import { cancelTurn } from './store/commands.ts'

const provisional = (seen: readonly Seen[]) => seen.map(([, text]): Seen => [undefined, text])
const abc: Seen[] = [
  [0, 'a'],
  [1, 'b'],
  [2, 'c'],
]

test('an event is shown once the log has it, and not before', async () => {
  await using turn = await turnLogAtHand()
  turn.reach('silent')
  turn.add('a')
  await turn.settled()
  assert.deepEqual([turn.shown(), await turn.kept()], [[], []])
  turn.reach('reachable')
  await turn.settled()
  assert.deepEqual(turn.shown(), [[0, 'a']])
  assert.deepEqual(await turn.kept(), [[0, 'a']])
})

test('what is added together is appended together', async () => {
  await using turn = await turnLogAtHand()
  turn.add('a', 'b', 'c')
  await turn.settled()
  assert.deepEqual(turn.shown(), abc)
  assert.equal(await turn.appends(), 1)
})

test('one append is under way at a time; what comes meanwhile joins the next', async () => {
  await using turn = await turnLogAtHand()
  turn.reach('silent')
  turn.add('a')
  await turn.settled()
  turn.add('b')
  await turn.settled()
  turn.add('c')
  await turn.settled()
  assert.deepEqual(turn.asked, ['turn.append'])
  turn.reach('reachable')
  await turn.settled()
  assert.deepEqual(turn.asked, ['turn.append', 'turn.append'])
  assert.equal(await turn.appends(), 2)
  assert.deepEqual(turn.shown(), abc)
})

test('flushed: when all that was added is in the log', async () => {
  await using turn = await turnLogAtHand()
  await turn.log.flushed()
  turn.reach('silent')
  turn.add('a')
  let flushed = false
  const flushing = turn.log.flushed().then(() => {
    flushed = true
  })
  await turn.settled()
  turn.add('b')
  assert.equal(flushed, false)
  turn.reach('reachable')
  await flushing
  assert.deepEqual(await turn.kept(), abc.slice(0, 2))
})

test('with the log out of reach events are shown without positions; they have them, once, when it is back', async () => {
  await using turn = await turnLogAtHand()
  turn.add('a')
  await turn.settled()
  turn.reach('away')
  turn.add('b')
  await turn.settled()
  assert.deepEqual(turn.shown(), [[0, 'a'], ...provisional([[1, 'b']])])
  turn.add('c')
  assert.deepEqual(turn.shown(), [[0, 'a'], ...provisional(abc.slice(1))])
  await turn.settled()
  assert.deepEqual(await turn.kept(), [[0, 'a']])

  turn.reach('reachable')
  await turn.pass(500)
  assert.deepEqual(turn.shown(), abc)
  assert.deepEqual(await turn.kept(), abc)
  assert.deepEqual(turn.losses, [])
  turn.reach('silent')
  turn.add('d')
  await turn.settled()
  assert.deepEqual(turn.shown(), abc, 'within reach again, it waits for the log')
  turn.reach('reachable')
  await turn.settled()
  assert.deepEqual(await turn.kept(), [...abc, [3, 'd']])
})

test('an append that gets no answer for more than a second is taken for one that fails', async () => {
  await using turn = await turnLogAtHand()
  turn.reach('silent')
  turn.add('a', 'b')
  await turn.settled()
  await turn.pass(1000)
  assert.deepEqual(turn.shown(), [])
  await turn.pass(1)
  assert.deepEqual(turn.shown(), provisional(abc.slice(0, 2)))
  turn.add('c')
  assert.deepEqual(turn.shown(), provisional(abc))
  turn.reach('reachable')
  await turn.settled()
  assert.deepEqual(turn.shown(), abc)
  assert.deepEqual(await turn.kept(), abc)
})

test('an append whose answer was lost is not written twice, whatever came after it', async () => {
  await using turn = await turnLogAtHand()
  turn.reach('deaf')
  turn.add('a', 'b')
  await turn.settled()
  assert.deepEqual(await turn.kept(), abc.slice(0, 2))
  assert.deepEqual(turn.shown(), provisional(abc.slice(0, 2)))
  turn.reach('reachable')
  turn.add('c')
  await turn.settled()
  assert.deepEqual(await turn.kept(), abc)
  assert.deepEqual(turn.shown(), abc)
  assert.deepEqual(turn.losses, [])
})

test('so is one that is tried again as it was', async () => {
  await using turn = await turnLogAtHand()
  turn.reach('deaf')
  turn.add('a', 'b')
  await turn.settled()
  turn.reach('reachable')
  await turn.pass(500)
  assert.deepEqual(turn.shown(), abc.slice(0, 2))
  assert.equal(await turn.appends(), 1)
})

test('after nearly a lease out of reach the turn is lost, and nothing more is said', async () => {
  await using turn = await turnLogAtHand()
  turn.reach('away')
  turn.add('a')
  await turn.pass(0.9 * LEASE_MS)
  assert.deepEqual(turn.losses, [])
  turn.add('b')
  const flushing = assert.rejects(turn.log.flushed(), { code: 'turn_lost' })
  await turn.pass(1)
  assert.deepEqual(turn.losses, ['out-of-reach'])
  await flushing
  await assert.rejects(turn.log.flushed(), { code: 'turn_lost' })
  turn.add('c')
  turn.reach('reachable')
  await turn.pass(500)
  assert.deepEqual(turn.shown(), provisional(abc.slice(0, 2)))
  assert.deepEqual([turn.losses, await turn.kept()], [['out-of-reach'], []])
})

test('the lease counts from when the last acknowledged append was sent', async () => {
  await using turn = await turnLogAtHand()
  turn.reach('silent')
  turn.add('a')
  await turn.settled()
  await turn.pass(900)
  turn.reach('reachable')
  await turn.settled()
  assert.deepEqual(turn.shown(), [[0, 'a']])
  turn.reach('away')
  await turn.pass(0.9 * LEASE_MS - 900)
  assert.deepEqual(turn.losses, [])
  await turn.pass(1)
  assert.deepEqual(turn.losses, ['out-of-reach'])
})

test('while nothing is said the lease is renewed, from a third of it on', async () => {
  await using turn = await turnLogAtHand()
  await turn.pass(LEASE_MS / 3)
  assert.deepEqual(turn.asked, [])
  await turn.pass(1)
  assert.deepEqual(turn.asked, ['turn.renew'])
  await turn.pass(0.7 * LEASE_MS)
  assert.deepEqual((await turn.claim()).kind, 'held')
  assert.deepEqual(turn.losses, [])
})

test('a process that was suspended while its turn went to another says nothing any more', async () => {
  await using turn = await turnLogAtHand()
  turn.add('a')
  await turn.settled()
  turn.clock.advance(2 * LEASE_MS)
  assert.equal((await turn.claim()).kind, 'claimed')
  turn.add('b')
  await turn.settled()
  assert.deepEqual(turn.losses, ['fenced'])
  assert.deepEqual([turn.shown(), await turn.kept()], [[[0, 'a']], [[0, 'a']]])
  assert.ok(turn.log.live.ended)
  turn.add('c')
  await turn.settled()
  assert.deepEqual(turn.asked, ['turn.append', 'turn.append'])
})

test('nor one that was suspended with the log out of reach', async () => {
  await using turn = await turnLogAtHand()
  turn.reach('away')
  turn.add('a')
  await turn.settled()
  turn.clock.advance(0.9 * LEASE_MS + 1)
  turn.add('b')
  await turn.settled()
  assert.deepEqual(turn.shown(), provisional([[0, 'a']]))
  assert.deepEqual(turn.losses, ['out-of-reach'])
})

test('nor one whose renewal is refused', async () => {
  await using turn = await turnLogAtHand()
  turn.clock.advance(LEASE_MS)
  await turn.claim()
  turn.clock.advance(-0.5 * LEASE_MS)
  await turn.pass(0)
  assert.deepEqual(turn.losses, ['fenced'])
})

test('a turn that the store has lost is told from one that another holds, and its readers are left their last word', async () => {
  for (const notice of [(turn: TurnLogAtHand) => turn.add('b'), () => []]) {
    await using turn = await turnLogAtHand()
    turn.add('a')
    await turn.settled()
    await turn.store.delete(turn.keys.turn)
    notice(turn)
    await turn.pass(LEASE_MS / 2)
    assert.deepEqual([turn.losses, turn.log.isGone, turn.log.live.ended], [['gone'], true, false])
    turn.log.showLast({ position: 1, type: 'turn.failed', data: '{}' })
    assert.deepEqual(turn.shown(), [
      [0, 'a'],
      [undefined, 'turn.failed'],
    ])
    assert.ok(turn.log.live.ended)
  }
})

test('a failure that trying again does not mend loses the turn at once', async () => {
  await using turn = await turnLogAtHand()
  turn.add('x'.repeat(9 * 1024 * 1024))
  await turn.settled()
  assert.deepEqual(turn.losses, ['broken'])
  assert.deepEqual(turn.shown(), [])
})

test('the model is held back while too much is not acknowledged, and let go when that has passed', async () => {
  await using turn = await turnLogAtHand()
  const flow: string[] = []
  turn.log.control({ pause: () => flow.push('pause'), resume: () => flow.push('resume') })
  turn.reach('silent')
  const overhead = JSON.stringify({ text: '' }).length
  turn.add('x'.repeat(turnLimits.unacknowledgedChars - overhead))
  await turn.settled()
  assert.deepEqual(flow, [])
  turn.add('')
  assert.deepEqual(flow, ['pause'])
  const second: string[] = []
  turn.log.control({ pause: () => second.push('pause'), resume: () => second.push('resume') })
  assert.deepEqual(second, ['pause'], 'whoever takes hold now is told')
  turn.reach('reachable')
  await turn.settled()
  assert.deepEqual([flow, second], [['pause'], ['pause', 'resume']])
})

test('a cancel that was noted in the store is noticed by the next append', async () => {
  await using turn = await turnLogAtHand()
  await turn.store.run(cancelTurn, [turn.keys.turn], [])
  assert.equal(turn.cancels, 0)
  turn.add('a')
  await turn.settled()
  assert.equal(turn.cancels, 1)
  assert.deepEqual(turn.shown(), [[0, 'a']])
})

test('and by the next renewal where nothing is said', async () => {
  await using turn = await turnLogAtHand()
  await turn.store.run(cancelTurn, [turn.keys.turn], [])
  await turn.pass(LEASE_MS / 3 + 1)
  assert.equal(turn.cancels, 1)
})
