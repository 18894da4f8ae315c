import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConfigDocument } from '#config/document.ts'
import type { Principal } from '#identity/principal.ts'
import { chatAtHand, LEASE_MS, somebody, versionAtHand } from '../../test/support/chat-at-hand.ts'
import { ScriptedServing } from '../../test/support/scripted-serving.ts'
import type { Chat } from './chat.ts'

const operator: Principal = { ...somebody, roles: ['Config.Operator'] }
const v1 = versionAtHand('v1')
const v2 = versionAtHand('v2')

/** A rollout from `v1` to `v2` which draws the canary. */
function rollout(candidate = v2): ScriptedServing {
  const serving = new ScriptedServing(v1, candidate)
  serving.draw = () => 'canary'
  return serving
}

function without(specialist: string): (given: ConfigDocument) => ConfigDocument {
  return ({ specialists: { [specialist]: _, ...specialists }, ...given }) => ({ ...given, specialists })
}

async function servedBy({ chat }: { chat: Chat }, turn: string) {
  const { config, arm, receipt } = await chat.get(somebody, turn)
  assert.deepEqual([receipt?.config.version, receipt?.config.arm], [config, arm])
  return [config, arm]
}

test('a conversation is drawn by its id, keeps its version while the rollout lasts, and leaves it with the rollback', async () => {
  const serving = rollout()
  await using hand = await chatAtHand({ serving, say: [{ text: 'a' }, { text: 'b' }, { text: 'c' }] })
  const conversation = await hand.converse()
  assert.deepEqual(serving.drawn, [conversation])
  assert.deepEqual(await hand.conversations.pins(somebody, conversation), {
    ...{ specialist: 'helper', config: 'v2', arm: 'canary', cohort: 'r1.0' },
  })
  serving.draw = () => 'stable'
  const first = await hand.say(conversation, 'one')
  assert.deepEqual(await servedBy(hand, first.turn), ['v2', 'canary'])
  const started = JSON.parse(first.events[0]?.data ?? '')
  assert.deepEqual([started.config, started.arm], ['v2', 'canary'])

  serving.settle(v1, 1)
  const second = await hand.say(conversation, 'two')
  assert.deepEqual(await servedBy(hand, second.turn), ['v1', 'stable'])
  assert.deepEqual(
    hand.told.map(({ fact: { config, arm, cohort, unit } }) => [config, arm, cohort, unit]),
    [
      ['v2', 'canary', 'r1.0', conversation],
      ['v1', 'stable', '', conversation],
    ],
  )
  assert.deepEqual(serving.drawn, [conversation])
})

test('a turn that stands alone is drawn by its own id, and the same request again is told what it was', async () => {
  const serving = rollout()
  await using hand = await chatAtHand({ serving, say: [{ text: 'a' }] })
  const request = {
    in: { specialist: 'helper', history: [{ role: 'user' as const, content: 'hi' }], parameters: {} },
    idempotencyKey: 'k',
  }
  const first = await hand.chat.start(somebody, request)
  await hand.pass(500)
  assert.deepEqual(serving.drawn, [first.id])
  assert.equal(hand.told[0]?.fact.unit, first.id)
  serving.draw = () => 'stable'
  const again = await hand.chat.start(somebody, request)
  assert.deepEqual(again, { ...first, created: false })
  assert.deepEqual([again.config, again.arm], ['v2', 'canary'])
})

test('a request of the OpenAI-compatible surface gets its turn under the id that it was drawn by', async () => {
  const serving = rollout()
  await using hand = await chatAtHand({ serving, say: [{ text: 'a' }] })
  const { name, opensTurn, config, served } = hand.chat.address(somebody, 'helper')
  assert.deepEqual(
    [opensTurn, config, served],
    [true, 'v2', { ...served, config: 'v2', arm: 'canary', cohort: 'r1.0' }],
  )
  serving.draw = () => 'stable'
  const { id } = await hand.chat.start(somebody, { in: { specialist: name, history: [], parameters: {}, served } })
  await hand.pass(500)
  assert.deepEqual([id, serving.drawn], [served.unit, [served.unit]])
  assert.deepEqual(await servedBy(hand, id), ['v2', 'canary'])
})

test('who takes a turn over goes on with the version that it began with', async () => {
  const serving = rollout()
  await using lost = await chatAtHand({ serving })
  const { turn, ended } = await lost.begin('hello')
  lost.reach('away')
  serving.settle(v1, 1)
  await using heir = await chatAtHand({ serving, say: [{ text: 'Hello.' }], sharing: lost })
  await lost.pass(2 * LEASE_MS)
  await ended
  assert.deepEqual(await servedBy(heir, turn), ['v2', 'canary'])
  const [{ fact } = assert.fail('nothing was told')] = heir.told
  assert.deepEqual([fact.config, fact.arm, fact.cohort, fact.unit], ['v2', 'canary', 'r1.0', turn])
})

test('a specialist that only one version has is served from that one, uncounted', async () => {
  const serving = new ScriptedServing(v1, versionAtHand('v2', without('helper')))
  serving.draw = () => 'canary'
  await using hand = await chatAtHand({ serving, say: [{ text: 'a' }] })
  const conversation = await hand.converse()
  const { turn } = await hand.say(conversation, 'hi')
  assert.deepEqual(await servedBy(hand, turn), ['v1', 'stable'])
  assert.equal(hand.told[0]?.fact.cohort, '')
})

test('one that only the candidate has is there while the rollout lasts, and gone with the rollback', async () => {
  const serving = new ScriptedServing(versionAtHand('v1', without('helper')), v2)
  await using hand = await chatAtHand({ serving, say: [{ text: 'a' }] })
  hand.chat.checkSpecialist(somebody, 'helper')
  const conversation = await hand.converse()
  const { turn } = await hand.say(conversation, 'hi')
  assert.deepEqual(await servedBy(hand, turn), ['v2', 'canary'])
  assert.equal(hand.told[0]?.fact.cohort, '')
  serving.settle(serving.stable(), 1)
  await assert.rejects(hand.say(conversation, 'again'), { code: 'specialist_not_found' })
  await assert.rejects(hand.converse(), { code: 'specialist_not_found', param: 'specialist' })
  assert.throws(() => hand.chat.checkSpecialist(somebody, 'helper'), { code: 'specialist_not_found' })
})

test('operators pick the version, and nobody else; what they picked stays and is not counted', async () => {
  const serving = new ScriptedServing(v1, undefined, [v2, versionAtHand('v3', without('helper'))])
  await using hand = await chatAtHand({ serving, say: [{ text: 'a' }, { text: 'b' }] })
  const { chat } = hand
  const begin = (who: Principal, version: string) => chat.createConversation(who, { specialist: 'helper', version })
  const ask = (who: Principal, version: string) =>
    chat.start(who, { in: { specialist: 'helper', history: [], parameters: {} }, version })
  for (const refused of [begin, ask, async (who: Principal, version: string) => chat.address(who, 'helper', version)]) {
    await assert.rejects(refused(somebody, 'v2'), { code: 'forbidden' })
    await assert.rejects(refused(operator, 'v9'), { code: 'config_not_found' })
  }
  await assert.rejects(begin(operator, 'v3'), { code: 'specialist_not_found' })
  await assert.rejects(ask(operator, 'v3'), { code: 'specialist_not_found' })
  assert.throws(() => chat.address(operator, 'helper', 'v3'), { code: 'model_not_found' })
  assert.throws(() => chat.checkSpecialist(operator, 'helper', 'v3'), { code: 'specialist_not_found' })
  assert.deepEqual(serving.drawn, [])

  const { id, config } = await begin(operator, 'v2')
  assert.equal(config, 'v2')
  const { turn } = await hand.say(id, 'hi')
  assert.deepEqual(await servedBy(hand, turn), ['v2', 'stable'])
  const alone = await ask(operator, 'v2')
  await hand.pass(500)
  assert.deepEqual(await servedBy(hand, alone.id), ['v2', 'stable'])
  assert.deepEqual(
    hand.told.map(({ fact }) => fact.cohort),
    ['picked', 'picked'],
  )
  const named = (version: string) => chat.start(operator, { in: { conversation: id }, message: 'hi', version })
  await assert.rejects(named('v1'), { code: 'invalid_request', param: 'x-parley-config' })
  assert.equal((await named('v2')).config, 'v2')
})
