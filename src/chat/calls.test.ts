import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConfigDocument } from '#config/document.ts'
import { chatAtHand, type Say, somebody } from '../../test/support/chat-at-hand.ts'
import { jsonBytes } from './cut-output.ts'
import { dataOf } from './event-codec.ts'
import { turnLimits } from './limits.ts'
import { turnKeys } from './store/turn-keys.ts'
import type { TurnEvent } from './turn-events.ts'

const wide = (document: ConfigDocument): ConfigDocument => ({
  ...document,
  models: Object.fromEntries(
    Object.entries(document.models).map(([name, spec]) => [name, { ...spec, contextWindow: 100_000_000 }]),
  ),
})
const call = (n = 0) => ({ name: 'act', arguments: `{"n":${n}}` })
const runsOf = (events: readonly TurnEvent[]) =>
  events
    .filter((event): event is TurnEvent<'run'> => event.type === 'run')
    .map((event) => dataOf(event))
    .map(({ index, status, output }) => [index, status, output])
const receiptOf = (events: readonly TurnEvent[]) => JSON.parse(events.at(-1)?.data ?? '{}').receipt

test('the calls of a step run side by side, each under a key that names its place', async () => {
  await using hand = await chatAtHand({ say: [{ calls: [call(1), call(2)] }, { text: 'Done.' }] })
  const { turn, events, ended } = await hand.begin('act twice')
  assert.deepEqual(
    hand.actions.dispatched.map(({ key, action, arguments: args }) => [key, action, args]),
    [
      [`${turn}/0/0`, 'act', '{"n":1}'],
      [`${turn}/0/1`, 'act', '{"n":2}'],
    ],
  )
  hand.actions.change(1, 'running')
  hand.actions.change(1, 'succeeded', '"two"')
  await hand.pass(1)
  assert.equal(hand.asked.length, 1, 'the model waits for both')
  hand.actions.change(0, 'failed', 'It did not work.')
  await ended
  assert.deepEqual(runsOf(events), [
    [0, 'queued', undefined],
    [1, 'queued', undefined],
    [1, 'running', undefined],
    [1, 'succeeded', '"two"'],
    [0, 'failed', 'It did not work.'],
  ])
  assert.deepEqual(
    hand.asked[1]?.slice(-2).map(({ content }) => content),
    ['It did not work.', '"two"'],
  )
  assert.equal(events.at(-1)?.type, 'turn.completed')
})

test('an action that takes long is told to be under way, and the turn goes on without it', async () => {
  await using hand = await chatAtHand({ say: [{ calls: [call()] }, { text: 'It is under way.' }] })
  const { events, ended } = await hand.begin('act')
  await hand.pass(turnLimits.actionWaitMs - 500)
  assert.equal(hand.asked.length, 1)
  await hand.pass(500)
  await ended
  assert.match(String(hand.asked[1]?.at(-1)?.content), /under way/)
  assert.deepEqual(
    receiptOf(events).runs.map(({ status }: { status: string }) => status),
    ['queued'],
  )
})

test('a result that is too long for a prompt is cut, and says so', async () => {
  await using hand = await chatAtHand({ say: [{ calls: [call(1), call(2)] }, { text: 'Long.' }] })
  const { events, ended } = await hand.begin('act')
  const atLimit = 'x'.repeat(turnLimits.outputChars)
  hand.actions.change(0, 'succeeded', atLimit)
  hand.actions.change(1, 'succeeded', `${atLimit}yz`)
  await ended
  const [whole, cut] = hand.asked[1]?.slice(-2).map(({ content }) => String(content)) ?? []
  assert.ok(whole === atLimit)
  assert.ok(cut?.startsWith(atLimit) && cut.endsWith(`[cut off here: the result has ${atLimit.length + 2} characters]`))
  assert.equal(events.at(-1)?.type, 'turn.completed')
})

test('the results of a turn take no more together than its conversation can keep', async () => {
  const calls = Array.from({ length: turnLimits.calls }, (_, n) => call(n))
  await using hand = await chatAtHand({ say: [{ calls }, { text: 'Long.' }], document: wide })
  const conversation = await hand.converse()
  const { events, ended } = await hand.say(conversation, 'act')
  const output = '語'.repeat(turnLimits.outputChars)
  for (const n of calls.keys()) hand.actions.change(n, 'succeeded', output)
  await ended
  const told = runsOf(events).flatMap(([, , output]) => (typeof output === 'string' ? [output] : []))
  assert.equal(told.length, calls.length)
  const whole = told.filter((each) => each === output).length
  assert.equal(whole, Math.floor(turnLimits.callBytes / jsonBytes(output)))
  assert.ok(
    told.slice(whole).every((each) => each.endsWith(`[cut off here: the result has ${output.length} characters]`)),
  )
  assert.deepEqual([events.at(-1)?.type, hand.asked.length], ['turn.completed', 2])
})

test('arguments beyond what a turn can keep are refused as no JSON, and the calls before them are made', async () => {
  const long = JSON.stringify({ of: '語'.repeat(turnLimits.argumentChars - 10) })
  const fitting = Math.floor(turnLimits.callBytes / jsonBytes(long))
  const calls = Array.from({ length: fitting + 1 }, () => ({ name: 'act', arguments: long }))
  await using hand = await chatAtHand({ say: [{ calls }, { text: 'Done.' }], document: wide })
  const { ended } = await hand.begin('act')
  assert.deepEqual(
    hand.actions.dispatched.map(({ arguments: args }) => args === long),
    calls.map((_, n) => n < fitting),
  )
  assert.equal(hand.actions.dispatched.at(-1)?.arguments, '')
  for (const n of calls.keys()) hand.actions.change(n, 'succeeded', '1')
  await ended
})

test('a turn that cannot be kept all the same ends typed, and its conversation goes on', async () => {
  // Each of these characters takes six bytes.
  const odd = '\u0001'
  const calls = Array.from({ length: 8 }, (_, n) => call(n))
  const say = [{ calls }, { text: odd.repeat(turnLimits.textChars - 1) }, { text: 'Yes.' }]
  await using hand = await chatAtHand({ say, document: wide })
  const conversation = await hand.converse()
  const { events, ended } = await hand.say(conversation, 'act')
  for (const n of calls.keys()) hand.actions.change(n, 'succeeded', odd.repeat(turnLimits.outputChars))
  await ended
  const { type, data = '{}' } = events.at(-1) ?? {}
  assert.deepEqual([type, JSON.parse(data).error.code], ['turn.failed', 'message_too_large'])
  const next = await hand.say(conversation, 'again?')
  await next.ended
  assert.equal(next.events.at(-1)?.type, 'turn.completed')
  assert.deepEqual(
    hand.asked
      .at(-1)
      ?.slice(1)
      .map(({ content }) => content),
    ['again?'],
  )
})

test('with the log out of reach nothing is dispatched until it is back', async () => {
  const first = Promise.withResolvers<Say>()
  await using hand = await chatAtHand({ say: [first.promise, { text: 'Done.' }] })
  const { events, ended } = await hand.begin('act')
  hand.reach('away')
  first.resolve({ text: 'Let me see.', calls: [call()] })
  await hand.pass(2000)
  assert.ok(events.some(({ type, position }) => type === 'call' && position === undefined))
  assert.deepEqual(hand.actions.dispatched, [])
  hand.reach('reachable')
  await hand.pass(1000)
  assert.equal(hand.actions.dispatched.length, 1)
  hand.actions.change(0, 'succeeded', '1')
  await ended
  assert.equal(events.at(-1)?.type, 'turn.completed')
})

test('a turn that is cancelled while it waits withdraws what has not begun', async () => {
  await using hand = await chatAtHand({ say: [{ calls: [call()] }] })
  const { turn, events, ended } = await hand.begin('act')
  await hand.chat.cancel(somebody, turn)
  await ended
  assert.equal(events.at(-1)?.type, 'turn.cancelled')
  assert.deepEqual(hand.actions.withdrawn, [turn])
  hand.actions.change(0, 'succeeded', 'too late')
  const { text, receipt } = await hand.chat.get(somebody, turn)
  assert.deepEqual([text, receipt?.runs.map(({ status }) => status)], ['', ['queued']])
})

test('what is being asked for as a turn is cancelled is withdrawn with the rest', async () => {
  await using hand = await chatAtHand({ say: [{ calls: [call(1), call(2)] }] })
  const gate = Promise.withResolvers<void>()
  const order: string[] = []
  const { port } = hand.actions
  const { dispatch, withdraw } = port
  port.dispatch = async (asked) => {
    if (asked.arguments === '{"n":2}') await gate.promise
    order.push('asked for')
    return dispatch(asked)
  }
  port.withdraw = async (turn) => {
    order.push('withdrawn')
    await withdraw(turn)
  }
  const { turn, events, ended } = await hand.begin('act twice')
  await hand.chat.cancel(somebody, turn)
  await hand.pass(100)
  gate.resolve()
  await ended
  assert.equal(events.at(-1)?.type, 'turn.cancelled')
  assert.deepEqual(order, ['asked for', 'asked for', 'withdrawn'])
})

test('what was done before a turn was cancelled is known in the next one, and what was not is not', async () => {
  const calls = [call(1), call(2)]
  await using hand = await chatAtHand({ say: [{ text: 'Both? ', calls }, { text: 'One was done.' }] })
  const conversation = await hand.converse()
  const { turn, ended } = await hand.say(conversation, 'act twice')
  hand.actions.change(1, 'succeeded', '"two"')
  await hand.pass(1)
  await hand.chat.cancel(somebody, turn)
  await ended
  assert.equal((await hand.chat.get(somebody, turn)).text, 'Both? ')
  await (await hand.say(conversation, 'what was done?')).ended
  const told = hand.asked[1]?.slice(1) ?? []
  assert.deepEqual(
    told.map(({ role, content }) => [role, content]),
    [
      ['user', 'act twice'],
      ['assistant', 'Both? '],
      ['tool', '"two"'],
      ['assistant', 'The answer broke off here.'],
      ['user', 'what was done?'],
    ],
  )
  const [asked] = told[1]?.tool_calls ?? []
  assert.deepEqual([told[1]?.tool_calls?.length, asked?.function.arguments], [1, '{"n":2}'])
  assert.equal(told[2]?.tool_call_id, asked?.id)
})

test('a turn that the store has lost ends typed for its readers, and what it had done is reported later', async () => {
  await using hand = await chatAtHand({ say: [{ text: 'Let me see.', calls: [call(1), call(2)] }] })
  const { turn, events, ended } = await hand.begin('act twice')
  const { turn: record, log } = turnKeys(somebody, turn)
  await Promise.all([hand.store.delete(record), hand.store.delete(log)])
  hand.actions.change(0, 'succeeded', '"one"')
  await ended
  const { type, data = '{}' } = events.at(-1) ?? {}
  assert.deepEqual([type, JSON.parse(data).error.code], ['turn.failed', 'turn_lost'])
  await hand.pass(1)
  assert.deepEqual(hand.actions.reportedLater, [turn])
})

test('a fault of ours while calls are dispatched ends the turn typed', async () => {
  await using hand = await chatAtHand({ say: [{ calls: [call()] }] })
  hand.actions.port.dispatch = async () => {
    throw new Error('a bug')
  }
  const { events, ended } = await hand.begin('act')
  await ended
  const failed = JSON.parse(events.at(-1)?.data ?? '{}')
  assert.deepEqual([events.at(-1)?.type, failed.error.code], ['turn.failed', 'internal'])
  assert.doesNotMatch(failed.error.message, /bug/)
})

test('where one call of a step fails for a fault of ours, what comes of the others is reported later', async () => {
  const calls = [call(1), call(2)]
  await using hand = await chatAtHand({ say: [{ calls }, { text: 'It is done.' }] })
  const { dispatch } = hand.actions.port
  hand.actions.port.dispatch = async (asked) => {
    if (asked.arguments.includes('2')) throw new Error('a bug')
    return dispatch(asked)
  }
  const conversation = await hand.converse()
  const { events, ended } = await hand.say(conversation, 'act')
  await ended
  assert.equal(events.at(-1)?.type, 'turn.failed')
  hand.actions.change(0, 'succeeded', '"done"')
  await hand.pass(1000)
  const { items } = await hand.conversations.messages(somebody, conversation, 0, 10)
  assert.equal(items.at(-1)?.content, 'It is done.')
})
