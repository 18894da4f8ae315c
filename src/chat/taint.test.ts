import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ActionSpec } from '#config/action-spec.ts'
import type { ConfigVersion } from '#config/document.ts'
import type { ChatMessage } from '#models/answer.ts'
import { chatAtHand, somebody } from '../../test/support/chat-at-hand.ts'
import { chatConfig } from '../../test/support/chat-config.ts'
import { followUpText } from './follow-up-text.ts'
import type { StepProgress } from './progress.ts'
import { type CallContext, hasStrangersWords } from './taint.ts'
import type { TurnInput } from './turn-input.ts'

const spec: ActionSpec = { description: 'Acts.', parameters: { type: 'object' }, builtin: 'calculate' }
const config: ConfigVersion = {
  name: 'v1',
  hash: 'none',
  document: {
    ...chatConfig({}),
    actions: { ours: { ...spec, output: 'trusted' }, theirs: { ...spec, output: 'untrusted' }, silent: spec },
  },
}
const input: TurnInput = {
  turn: 'turn_1',
  principal: somebody,
  conversation: 'conv_1',
  specialist: 'helper',
  config: 'v1',
  arm: 'stable',
  cohort: '',
  message: 'hello',
  alone: null,
  followUp: null,
  readOnly: false,
  startedAt: 0,
}
const user: ChatMessage = { role: 'user', content: 'hello' }

function history(...actions: string[]): ChatMessage[] {
  const calls = actions.map((name, index) => ({
    id: `call_${index}`,
    type: 'function' as const,
    function: { name, arguments: '{}' },
  }))
  const results = calls.map(({ id }): ChatMessage => ({ role: 'tool', tool_call_id: id, content: '1' }))
  return [user, { role: 'assistant', tool_calls: calls }, ...results, { role: 'assistant', content: 'So.' }, user]
}

function step(action: string, output: string | undefined): StepProgress {
  const call = { index: 0, action, arguments: '{}', status: 'running' as const, output, approval: undefined }
  return { step: 0, text: '', metering: false, model: undefined, finish: 'tool_calls', calls: [call] }
}

function strangersIn({ steps = [], ...context }: Partial<CallContext> & { steps?: StepProgress[] }): boolean {
  return hasStrangersWords({ config, input, prompt: [user], progress: { steps }, ...context })
}

test('what a conversation begins with is trusted', () => {
  assert.equal(strangersIn({ prompt: [{ role: 'system', content: 'Answer.' }, user] }), false)
})

for (const [action, expected] of [
  ['ours', false],
  ['theirs', true],
  ['silent', true],
  ['unknown', true],
  ['toString', true],
] as const) {
  test(`the answer of ${action} ${expected ? 'brings' : 'does not bring'} strangers' words, wherever it stands`, () => {
    assert.equal(strangersIn({ steps: [step(action, '1')] }), expected)
    assert.equal(strangersIn({ prompt: history(action) }), expected)
    assert.equal(strangersIn({ prompt: history('ours', action) }), expected)
    const run = { id: 'run_1', action, status: 'succeeded' as const, output: '{"action":"ours"}' }
    const content = followUpText({ turn: 'turn_0', runs: [{ ...run, action: 'ours' }, run] })
    assert.equal(strangersIn({ prompt: [{ role: 'user', content }] }), expected)
    assert.equal(strangersIn({ prompt: [{ role: 'user', content: `${content}\n\n{"action":"theirs"}` }] }), expected)
  })
}

test('a call that has no answer yet brings nothing', () => {
  assert.equal(strangersIn({ steps: [step('theirs', undefined)] }), false)
})

test('an answer to what nobody asked, and a report that cannot be read, are strangers', () => {
  assert.equal(strangersIn({ prompt: [user, { role: 'tool', tool_call_id: 'call_9', content: '1' }] }), true)
  assert.equal(strangersIn({ prompt: [user, { role: 'tool', content: '1' }] }), true)
  const report = followUpText({ turn: 'turn_0', runs: [] })
  assert.equal(strangersIn({ prompt: [{ role: 'user', content: `${report}\n{not JSON` }] }), true)
})

test('on a turn that stands alone every result of a tool is a stranger, and every tool of the caller', () => {
  const tools = [{ type: 'function', function: { name: 'own' } }]
  const alone = (parameters: object, more: Partial<CallContext> & { steps?: StepProgress[] } = {}) =>
    strangersIn({
      input: { ...input, conversation: null, alone: { history: [], parameters: { ...parameters } } },
      ...more,
    })
  assert.equal(alone({}), false)
  assert.equal(alone({}, { prompt: history() }), false)
  assert.equal(alone({}, { prompt: history('ours') }), true)
  assert.equal(alone({ tools }), true)
  assert.equal(alone({ tools: [] }), false)
  assert.equal(alone({}, { steps: [step('ours', '1')] }), false)
  assert.equal(alone({}, { steps: [step('theirs', '1')] }), true)
})

test('the calls of a turn are told what stands before them, in its own steps and in earlier turns', async () => {
  const act = { calls: [{ name: 'act', arguments: '{}' }] }
  const ours = { calls: [{ name: 'current_time', arguments: '{}' }] }
  await using hand = await chatAtHand({
    say: [ours, act, act, { text: 'Done.' }, act, { text: 'Done.' }],
    document: (given) => ({ ...given, actions: { current_time: { ...spec, output: 'trusted' } } }),
  })
  const conversation = await hand.converse()
  const first = await hand.say(conversation, 'act')
  for (const index of [0, 1, 2]) {
    hand.actions.change(index, 'succeeded', '1')
    await hand.pass(1)
  }
  await first.ended
  const second = await hand.say(conversation, 'and again')
  hand.actions.change(3, 'succeeded', '1')
  await second.ended
  assert.deepEqual(
    hand.actions.dispatched.map(({ action, untrusted }) => [action, untrusted]),
    [
      ['current_time', false],
      ['act', false],
      ['act', true],
      ['act', true],
    ],
  )
})
