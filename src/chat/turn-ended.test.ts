import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { TurnEnded } from '#events/events.ts'
import { partitionOf } from '#identity/principal.ts'
import type { Segment } from '#models/answer.ts'
import { type ChatAtHand, chatAtHand, LEASE_MS, somebody } from '../../test/support/chat-at-hand.ts'
import { turnEnded } from './turn-ended.ts'
import type { TurnInput } from './turn-input.ts'

const endsIn = ({ told }: ChatAtHand) => told.flatMap(({ name, fact }) => (name === 'turn.ended' ? [fact] : []))
const only = (facts: readonly TurnEnded[]) => {
  assert.equal(facts.length, 1)
  return facts[0] ?? assert.fail()
}

test('a turn that has ended is told once, with what it cost and without a word of it', async () => {
  const answer = Promise.withResolvers<{ text: string }>()
  await using hand = await chatAtHand({ say: [answer.promise] })
  const startedAt = hand.clock.now()
  const conversation = await hand.converse()
  const { turn } = await hand.say(conversation, 'a secret question')
  while (hand.asked.length === 0) await setImmediate()
  await hand.pass(300)
  answer.resolve({ text: 'a secret answer' })
  while (hand.told.length === 0) await setImmediate()
  await hand.pass(3 * LEASE_MS)
  const fact = only(endsIn(hand))
  const call = { provider: 'offline', outcome: 'completed', reason: undefined, firstTokenMs: undefined, durationMs: 1 }
  assert.doesNotMatch(JSON.stringify(hand.told), /secret/)
  assert.deepEqual(fact, {
    ...{ config: 'v1', arm: 'stable', cohort: '', unit: conversation, turn, conversation },
    ...{ principal: partitionOf(somebody), tenant: 'home', specialist: 'helper' },
    ...{ status: 'completed', finish: 'stop', code: null, faults: [], firstTokenMs: 300 },
    segments: [{ model: 'only', inputTokens: 1, outputTokens: 1, costUsd: 0, call }],
    ...{ startedAt, endedAt: startedAt + 300 },
  })
})

test('one whose producer died between the commit and the telling is told by a sweeper, once', async () => {
  await using died = await chatAtHand({ say: [{ text: 'Hello.' }] })
  const { ended } = await died.begin('hello')
  await ended
  // With the store away its deadline is not dropped, as if it had not lived to do so.
  died.reach('away')
  await using other = await chatAtHand({ sharing: died })
  await other.pass(4 * LEASE_MS)
  assert.deepEqual(only(endsIn(other)), only(endsIn(died)))
})

test('a cancelled turn and one that was taken over tell what is known of them', async () => {
  await using lost = await chatAtHand({})
  const { turn, ended } = await lost.begin('hello')
  lost.reach('away')
  await using heir = await chatAtHand({ sharing: lost })
  await lost.pass(2 * LEASE_MS)
  await ended
  await heir.chat.cancel(somebody, turn)
  await heir.pass(500)
  const { status, finish, code, firstTokenMs, unit } = only(endsIn(heir))
  assert.deepEqual([status, finish, code, firstTokenMs, unit], ['cancelled', null, null, null, turn])
  assert.deepEqual(heir.actions.withdrawn, [], 'it called nothing, and needs no database to end')
})

test('what the reader thought of it is told with where it counts', async () => {
  await using hand = await chatAtHand({ say: [{ text: 'Hello.' }] })
  const { turn, ended } = await hand.begin('hello')
  await ended
  await hand.chat.feedback(somebody, turn, { rating: 'down', comment: 'a secret' })
  const at = hand.clock.now()
  assert.deepEqual(hand.told.at(-1), {
    name: 'feedback.given',
    fact: { config: 'v1', arm: 'stable', cohort: '', unit: turn, turn, rating: 'down', at },
  })
})

const conversation: TurnInput = {
  ...{ turn: 'turn_1', principal: somebody, conversation: 'conv_1', specialist: 'helper' },
  ...{ config: 'v1', arm: 'canary', cohort: 'r1.0', message: 'hi', followUp: null, readOnly: false, startedAt: 0 },
  alone: null,
}

const tools = [{ type: 'function', function: { name: 'mine' } }]
const text = [{ role: 'user' as const, content: 'hi' }]
const standing = (parameters: object, history: NonNullable<TurnInput['alone']>['history'] = text): TurnInput => ({
  ...{ ...conversation, conversation: null },
  alone: { history, parameters: { ...parameters } },
})

function segment(model: string, outcome: Segment['outcome'], reason?: Segment['reason']): Segment & { step: number } {
  const tokens = { inputTokens: 2, cachedTokens: 1, outputTokens: 3, costUsd: 0.5, estimated: false }
  return { step: 0, model, provider: 'offline', ...tokens, outcome, ...(reason && { reason }), durationMs: 1 }
}

/** The fact of a turn that ended so. */
function told(input: TurnInput, segments: Segment[], error?: { code: string; param: string | null }): TurnEnded {
  const receipt = { segments, endedAt: new Date(5).toISOString() }
  const type = error ? 'turn.failed' : 'turn.completed'
  const data = JSON.stringify({ ...(error ? { error } : { finish: 'stop' }), receipt })
  return turnEnded(input, { text: '', terminal: { type, data, position: 3 } })
}

test('each call of a model is told, and a model that is not there also when another answered', () => {
  const segments = [
    segment('first', 'failed', 'misconfigured'),
    segment('second', 'failed', 'server_error'),
    segment('third', 'completed'),
  ]
  const { faults, segments: spent, status, firstTokenMs, endedAt } = told(conversation, segments)
  assert.deepEqual(faults, [{ model: 'first', kind: 'misconfigured' }])
  assert.deepEqual(
    spent.map(({ model, costUsd }) => [model, costUsd]),
    [
      ['first', 0.5],
      ['second', 0.5],
      ['third', 0.5],
    ],
  )
  assert.deepEqual([status, firstTokenMs, endedAt], ['completed', null, 5])
})

for (const [what, input, param, isFault] of [
  ['a message of a conversation', conversation, null, true],
  ['text alone', standing({}), null, true],
  ['parameters of the caller', standing({ temperature: 9 }), 'temperature', false],
  ['our tools beside parameters of the caller', standing({ temperature: 1 }), 'tools[0].function.parameters', true],
  ['tools of the caller', standing({ tools }), 'tools[1].function.parameters', false],
  ['parts of the caller', standing({}, [{ role: 'user', content: [{ type: 'image_url' }] }]), null, false],
] as const) {
  test(`a provider that refuses ${what} as invalid ${isFault ? 'is' : 'is no'} fault of the version`, () => {
    const { faults, code, status } = told(input, [segment('only', 'failed')], { code: 'provider_rejected', param })
    assert.deepEqual(faults, isFault ? [{ model: 'only', kind: 'rejected' }] : [])
    assert.deepEqual([status, code], ['failed', 'provider_rejected'])
  })
}
