import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conversationKeys } from '#conversations/keys.ts'
import type { Operation } from '#platform/kv/kv.ts'
import { capturedLog } from '../../test/support/captured-log.ts'
import { type ChatAtHand, chatAtHand, LEASE_MS, somebody } from '../../test/support/chat-at-hand.ts'
import { deadlineEntry, turnKeys } from './store/turn-keys.ts'

const HOUR = 60 * 60_000
/** In such a time there is a sweep, with all jitter. */
const LOOK_MS = LEASE_MS / 2

/** KEYS turn, log · ARGV what is damaged: a field of the record, or the log. */
const damage: Operation<void> = {
  name: 'test.damage',
  lua: '',
  twin: (step, [turn, log], [what]) => {
    if (!turn || !log) throw new RangeError('two keys are needed')
    if (what === 'log') step.append(log, step.top(log) + 1, Buffer.from('damaged'))
    else step.set(turn, { [String(what)]: 'damaged' })
    return []
  },
  decode: () => undefined,
}

const GIVEN_UP = 'A turn that nobody could go on with for half a day is given up'

/** Whether anybody is still to look after the turn, ever. */
async function isNoted({ store, conversations }: ChatAtHand, turn: string): Promise<boolean> {
  const { shard, member } = deadlineEntry(conversations, somebody, turn)
  const find: Operation<boolean> = {
    name: 'test.find',
    lua: '',
    twin: (step, [index]) => [
      index && step.below(index, Number.MAX_SAFE_INTEGER, 100).some((each) => each.member === member) ? 1 : 0,
    ],
    decode: ([found]) => found === 1,
  }
  return store.run(find, [shard], [])
}

/** Hours pass, with a look whenever one is due. */
async function passHours(hand: ChatAtHand, hours: number): Promise<void> {
  for (let hour = 0; hour < hours; hour++) {
    hand.clock.advance(HOUR - LOOK_MS)
    await hand.pass(LOOK_MS)
  }
}

for (const what of ['input', 'log']) {
  test(`a turn whose ${what} is damaged is given up after half a day: told once, not looked at again, in nobody's way`, async () => {
    await using lost = await chatAtHand({})
    const conversation = await lost.converse()
    const { turn, ended } = await lost.say(conversation, 'hello')
    lost.reach('away')
    const { turn: record, log: events } = turnKeys(somebody, turn)
    await lost.store.run(damage, [record, events], [what])
    const { log, lines } = capturedLog()
    await using heir = await chatAtHand({ say: [{ text: 'Here I am.' }], sharing: lost, log })
    const read = ended.catch(() => {})
    await passHours(heir, 10)
    const looks = lines.length
    assert.ok(looks >= 1 && looks < 8, `${looks} lines`)
    assert.equal(await isNoted(heir, turn), true)
    await assert.rejects(heir.say(conversation, 'are you there?'), { code: 'turn_in_progress' })
    await passHours(heir, 4)
    await read
    const told = () => lines.filter(({ msg }) => msg === GIVEN_UP).map(({ level, turn: id }) => [level, id])
    assert.deepEqual([told(), await isNoted(heir, turn)], [[[50, turn]], false])
    assert.deepEqual(heir.actions.reportedLater, [turn])
    await passHours(heir, 3)
    assert.equal(told().length, 1)
    if (what === 'log') assert.equal((await heir.chat.get(somebody, turn)).error?.code, 'turn_lost')
    await assert.rejects(Array.fromAsync(heir.chat.read(somebody, turn, -1, new AbortController().signal)), {
      code: 'turn_lost',
    })
    const next = await heir.say(conversation, 'are you there?')
    await next.ended
    assert.equal((await heir.chat.get(somebody, next.turn)).text, 'Here I am.')
  })
}

test('one whose conversation is damaged shows what was visible of it, and that it is lost', async () => {
  await using lost = await chatAtHand({ say: [{ text: 'Let me see.', calls: [{ name: 'act', arguments: '{}' }] }] })
  const conversation = await lost.converse()
  const { turn, ended } = await lost.say(conversation, 'act')
  lost.reach('away')
  const { messages } = conversationKeys(somebody, conversation)
  await lost.store.run(damage, [messages, messages], ['log'])
  await using heir = await chatAtHand({ sharing: lost })
  const read = ended.catch(() => {})
  await passHours(heir, 11)
  assert.equal((await heir.chat.get(somebody, turn)).status, 'running')
  while (await isNoted(heir, turn)) await passHours(heir, 1)
  await read
  const { status, text, error } = await heir.chat.get(somebody, turn)
  assert.deepEqual([status, text, error?.code], ['failed', 'Let me see.', 'turn_lost'])
  await assert.rejects(Array.fromAsync(heir.chat.read(somebody, turn, -1, new AbortController().signal)), {
    code: 'turn_lost',
  })
})

test('one whose log has gone while everything was down ends at once, with what is known of it', async () => {
  await using lost = await chatAtHand({})
  const conversation = await lost.converse()
  const { turn, ended } = await lost.say(conversation, 'hello')
  lost.reach('away')
  await lost.store.delete(turnKeys(somebody, turn).log)
  await using heir = await chatAtHand({ say: [{ text: 'Here I am.' }], sharing: lost })
  const read = ended.catch(() => {})
  await heir.pass(2 * LEASE_MS)
  await read
  const { status, error } = await heir.chat.get(somebody, turn)
  assert.deepEqual([status, error?.code, await isNoted(heir, turn)], ['failed', 'turn_lost', false])
  const next = await heir.say(conversation, 'are you there?')
  await next.ended
  assert.equal((await heir.chat.get(somebody, next.turn)).text, 'Here I am.')
})

test('a conversation whose turn cannot be read is deleted all the same', async () => {
  await using lost = await chatAtHand({})
  const conversation = await lost.converse()
  const { turn, ended } = await lost.say(conversation, 'hello')
  lost.reach('away')
  const { turn: record, log } = turnKeys(somebody, turn)
  await lost.store.run(damage, [record, log], ['input'])
  await using heir = await chatAtHand({ sharing: lost })
  const read = ended.catch(() => {})
  await lost.pass(2 * LEASE_MS)
  await read
  await heir.chat.deleteConversation(somebody, conversation)
  await assert.rejects(heir.conversations.get(somebody, conversation), { code: 'conversation_not_found' })
  await passHours(heir, 2)
  assert.equal(await isNoted(heir, turn), false)
})

test('a turn that ended and cannot be told of is looked at more and more rarely, until its record goes', async () => {
  const { log, lines } = capturedLog()
  const toldAtFirst = Promise.reject(new Error('not yet'))
  toldAtFirst.catch(() => {})
  await using hand = await chatAtHand({ say: [{ text: 'Hello.' }], log, settled: () => toldAtFirst })
  const { turn, ended } = await hand.begin('hello')
  await ended
  const { turn: record, log: events } = turnKeys(somebody, turn)
  await hand.store.run(damage, [record, events], ['end'])
  await passHours(hand, 14)
  const isLost = ({ msg }: Record<string, unknown>) => msg === GIVEN_UP
  assert.deepEqual([await isNoted(hand, turn), lines.filter(isLost)], [true, []])
  await hand.store.delete(record)
  await passHours(hand, 3)
  assert.equal(await isNoted(hand, turn), false)
})
