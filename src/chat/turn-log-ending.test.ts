import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Key, Operation } from '#platform/kv/kv.ts'
import { LEASE_MS, type Seen, type TurnLogAtHand, turnLogAtHand } from '../../test/support/turn-log-at-hand.ts'
import { loadTurn } from './store/commands.ts'
import type { TurnEvent } from './turn-events.ts'
import type { Ending } from './turn-log.ts'

const never = new AbortController().signal
const outcome = (text: string): Ending => ({ outcome: Buffer.from(text), conversation: { keys: [], args: [] } })
const completed = (turn: TurnLogAtHand): TurnEvent => turn.event('turn.completed', { finish: 'stop' })
const failed = (turn: TurnLogAtHand, at: TurnEvent): TurnEvent => ({ ...turn.event('turn.failed', {}), ...at })
const ab: Seen[] = [
  [0, 'a'],
  [1, 'b'],
]

/** The store loses the end of a log: it failed over to a copy that lagged behind. */
const forget: Operation<void> = {
  name: 'test.forget',
  lua: '',
  twin: (step, [turn, log], [top]) => {
    if (!turn || !log) return []
    const kept = step.read(log, -1, 1000).filter(({ position }) => position <= Number(top))
    step.delete(log)
    for (const { position, body } of kept) step.append(log, position, body)
    step.set(turn, { top: Number(top) })
    return []
  },
  decode: () => undefined,
}

async function stateOf({ store, keys }: TurnLogAtHand): Promise<[state?: string, top?: number, end?: string]> {
  const record = await store.run(loadTurn, [keys.turn], [])
  return [record?.state, record?.top, record?.end?.toString()]
}

test('the end is written with what is open, behind the append that is under way', async () => {
  await using turn = await turnLogAtHand()
  turn.reach('silent')
  turn.add('a')
  await turn.settled()
  turn.add('b')
  const end = completed(turn)
  const ending = turn.log.commit(end, async () => outcome('done'), never)
  await turn.settled()
  assert.deepEqual(turn.asked, ['turn.append'])
  turn.reach('reachable')
  assert.equal(await ending, 'committed')
  assert.deepEqual(turn.asked, ['turn.append', 'turn.commit'])
  assert.deepEqual(await turn.kept(), [...ab, [2, 'turn.completed']])
  assert.deepEqual(turn.shown(), [...ab, [2, 'turn.completed']])
  assert.ok(turn.log.live.ended)
  assert.deepEqual(await stateOf(turn), ['done', 2, 'done'])
})

test('it waits for a store out of reach, and is written once though the answer to it was lost', async () => {
  await using turn = await turnLogAtHand()
  turn.add('a', 'b')
  await turn.settled()
  turn.reach('away')
  let built = 0
  const ending = turn.log.commit(completed(turn), async () => outcome(`build ${++built}`), never)
  await turn.settled()
  turn.reach('deaf')
  await turn.pass(200)
  assert.deepEqual(await stateOf(turn), ['done', 2, 'build 2'])
  assert.deepEqual(turn.shown(), ab)
  turn.reach('reachable')
  await turn.pass(300)
  assert.equal(await ending, 'committed')
  assert.deepEqual(await stateOf(turn), ['done', 2, 'build 2'])
  assert.deepEqual(await turn.kept(), [...ab, [2, 'turn.completed']])
  assert.deepEqual(turn.shown(), [...ab, [2, 'turn.completed']])
})

test('the messages of the conversation are written with it, once, wherever its log ends by now', async () => {
  await using turn = await turnLogAtHand()
  const [partition, id = ''] = turn.keys.turn.split(/(?<=})/)
  const keys = ['record', 'messages', 'index'].map((name) => `${partition}${name}` as Key)
  const [record, messages] = keys
  assert.ok(record && messages)
  const begin: Operation<void> = {
    name: 'test.begin',
    lua: '',
    twin: (step) => {
      step.set(record, { live: id, version: 1, messages: 2 })
      step.append(messages, 0, Buffer.from('first turn'))
      return []
    },
    decode: () => undefined,
  }
  await turn.store.run(begin, keys, [])
  const positions: number[] = []
  const build = async (): Promise<Ending> => {
    positions.push(positions.length)
    const args = [id, 'conversation', positions.at(-1) ?? 0, Buffer.from('this turn'), 2, '', 60_000]
    return { outcome: Buffer.from('done'), conversation: { keys, args } }
  }
  turn.add('a', 'b')
  const ending = turn.log.commit(completed(turn), build, never)
  await turn.settled()
  assert.equal(await ending, 'committed')
  assert.deepEqual(positions, [0, 1], 'the first try found the log longer than it was thought to be')
  const entries = await turn.store.read(messages, -1, 10)
  assert.deepEqual(
    entries.map(({ position, body }) => [position, body.toString()]),
    [
      [0, 'first turn'],
      [1, 'this turn'],
    ],
  )
})

test('an append whose answer was lost does not keep the end from being written', async () => {
  await using turn = await turnLogAtHand()
  turn.reach('deaf')
  turn.add('a')
  await turn.settled()
  turn.reach('reachable')
  const next = turn.event('token', { text: 'b' })
  turn.log.add(next)
  assert.equal(await turn.log.commit(completed(turn), async () => outcome('done'), never), 'committed')
  assert.deepEqual(await turn.kept(), [...ab, [2, 'turn.completed']])
  assert.deepEqual(turn.shown(), [...ab, [2, 'turn.completed']])
})

test('who no longer holds the turn does not end it', async () => {
  await using turn = await turnLogAtHand()
  turn.add('a', 'b')
  await turn.settled()
  turn.clock.advance(LEASE_MS)
  assert.equal((await turn.claim()).kind, 'claimed')
  assert.equal(await turn.log.commit(completed(turn), async () => outcome('done'), never), 'refused')
  assert.deepEqual([turn.shown(), await turn.kept()], [ab, ab])
  assert.ok(turn.log.live.ended)
  assert.equal((await stateOf(turn))[0], 'live')
})

test('nor who ends one that the store has lost; readers are still to hear of that', async () => {
  await using turn = await turnLogAtHand()
  turn.add('a', 'b')
  await turn.settled()
  await turn.store.delete(turn.keys.turn)
  const end = () => turn.log.commit(completed(turn), async () => outcome('done'), never)
  assert.equal(await end(), 'lost')
  assert.deepEqual([turn.log.isGone, turn.log.live.ended, turn.shown()], [true, false, ab])
  assert.equal(await end(), 'refused')
})

test('an end that readers have waited for for nearly a lease has to be another one, which is then written', async () => {
  await using turn = await turnLogAtHand()
  turn.add('a', 'b')
  await turn.settled()
  turn.reach('away')
  const end = completed(turn)
  const ending = turn.log.commit(end, async () => outcome('done'), never)
  for (let passed = 0; passed <= LEASE_MS; passed += 500) await turn.pass(500)
  assert.equal(await ending, 'lost')
  assert.deepEqual(turn.losses, ['out-of-reach'])

  const failure = failed(turn, { position: end.position, type: 'turn.failed', data: '{}' })
  turn.log.showLast(failure)
  assert.deepEqual(turn.shown(), [...ab, [undefined, 'turn.failed']])
  const again = turn.log.commit(failure, async () => outcome('lost'), never)
  for (let passed = 0; passed <= 2 * LEASE_MS; passed += 500) await turn.pass(500)
  turn.reach('reachable')
  await turn.pass(2000)
  assert.equal(await again, 'committed')
  assert.deepEqual(await turn.kept(), [...ab, [2, 'turn.failed']])
  assert.deepEqual(await stateOf(turn), ['done', 2, 'lost'])
})

test('what came after the loss is not shown, and written with the end', async () => {
  await using turn = await turnLogAtHand()
  turn.add('a')
  await turn.settled()
  turn.reach('away')
  turn.add('b')
  await turn.settled()
  await turn.pass(0.9 * LEASE_MS + 1)
  assert.deepEqual(turn.losses, ['out-of-reach'])
  turn.add('c', 'd')
  const failure = turn.event('turn.failed', {})
  turn.log.showLast(failure)
  turn.reach('reachable')
  assert.equal(await turn.log.commit(failure, async () => outcome('lost'), never), 'committed')
  assert.deepEqual(await turn.kept(), [...ab, [2, 'c'], [3, 'd'], [4, 'turn.failed']])
  assert.deepEqual(
    turn.shown().map(([, text]) => text),
    ['a', 'b', 'turn.failed'],
  )
})

test('a turn that is lost before its successor has said anything is ended all the same', async () => {
  await using turn = await turnLogAtHand(5)
  await turn.pass(0.9 * LEASE_MS + 1)
  assert.deepEqual(turn.losses, ['out-of-reach'])
  turn.add('metered')
  const failure = turn.event('turn.failed', {})
  turn.log.showLast(failure)
  assert.equal(await turn.log.commit(failure, async () => outcome('lost'), never), 'committed')
  assert.deepEqual(await turn.kept(), [
    [5, 'metered'],
    [6, 'turn.failed'],
  ])
})

test('trying to end stops with the signal', async () => {
  await using turn = await turnLogAtHand()
  turn.reach('away')
  const stop = new AbortController()
  const ending = turn.log.commit(completed(turn), async () => outcome('done'), stop.signal)
  const rejected = assert.rejects(ending, /enough/)
  await turn.settled()
  stop.abort(new Error('enough'))
  await rejected
  assert.equal((await stateOf(turn))[0], 'live')
})

test('what the store forgot of the log is put back from memory, in its place', async () => {
  await using turn = await turnLogAtHand()
  for (const text of ['a', 'b', 'c']) {
    turn.add(text)
    await turn.settled()
  }
  await turn.store.run(forget, [turn.keys.turn, turn.keys.log], [0])
  assert.deepEqual(await turn.kept(), [[0, 'a']])
  turn.add('d')
  await turn.settled()
  const all: Seen[] = [...ab, [2, 'c'], [3, 'd']]
  assert.deepEqual(await turn.kept(), all)
  assert.deepEqual(turn.shown(), all)
  assert.deepEqual(turn.losses, [])
})

test('also with the end of the turn, and with events that readers have seen without positions', async () => {
  await using turn = await turnLogAtHand()
  turn.add('a')
  await turn.settled()
  turn.reach('away')
  turn.add('b')
  await turn.settled()
  turn.reach('reachable')
  await turn.store.run(forget, [turn.keys.turn, turn.keys.log], [-1])
  assert.equal(await turn.log.commit(completed(turn), async () => outcome('done'), never), 'committed')
  assert.deepEqual(await turn.kept(), [...ab, [2, 'turn.completed']])
  assert.deepEqual(turn.shown(), [...ab, [2, 'turn.completed']])
})

test('where memory does not reach back as far the turn is given up', async () => {
  await using turn = await turnLogAtHand(5)
  await turn.store.run(forget, [turn.keys.turn, turn.keys.log], [3])
  turn.add('f')
  await turn.settled()
  assert.deepEqual(turn.losses, ['broken'])
  assert.deepEqual(turn.shown(), [])
})

test('a turn is handed over once all is in the log, and then nothing more is written', async () => {
  await using turn = await turnLogAtHand()
  turn.reach('silent')
  turn.add('a', 'b')
  let done = false
  const handing = turn.log.handOver().then(() => {
    done = true
  })
  await turn.settled()
  assert.equal(done, false)
  turn.reach('reachable')
  await handing
  assert.ok(turn.log.live.ended)
  turn.add('c')
  await turn.pass(LEASE_MS / 2)
  assert.deepEqual([turn.shown(), await turn.kept()], [ab, ab])
  assert.deepEqual(turn.asked, ['turn.append'])
})
