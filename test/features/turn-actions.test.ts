import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Receipt, TurnEvents } from '#chat/turn-events.ts'
import type { ChatMessage } from '#models/answer.ts'
import { type Asked, checkOneText, only, startRoute } from '../support/model-route.ts'
import { textOf } from '../support/native-client.ts'
import type { Plan, Upstream } from '../support/upstream.ts'

const calculate = (expression: string): Plan => ({
  toolCalls: [{ name: 'calculate', arguments: JSON.stringify({ expression }) }],
})
const callsOf = ({ events }: Asked) =>
  events.filter(({ type }) => type === 'call').map(({ data }) => data as TurnEvents['call'])
const resultsOf = ({ events }: Asked) =>
  events
    .filter(({ type }) => type === 'run')
    .map(({ data }) => data as TurnEvents['run'])
    .filter(({ output }) => output !== undefined)
const toldTo = (upstream: Upstream | undefined, request: number) =>
  upstream?.requests[request]?.body.messages as ChatMessage[]

test('an action is called, its result told to the model, and both kept with the conversation', async () => {
  await using route = await startRoute({
    only: {
      plans: [{ ...calculate('6*7'), pieces: ['Let me see. '] }, { pieces: ['It is ', '42.'] }, { pieces: ['Yes.'] }],
    },
  })
  const asked = await route.ask('what is six times seven?', 'helper')
  assert.equal(textOf(asked.events), 'Let me see. It is 42.')
  assert.deepEqual(callsOf(asked), [{ step: 0, index: 0, action: 'calculate', arguments: '{"expression":"6*7"}' }])
  const [result] = resultsOf(asked)
  assert.deepEqual([result?.status, result?.output], ['succeeded', '{"result":42}'])
  const { receipt } = only<{ receipt: Receipt }>(asked.events, 'turn.completed')
  assert.deepEqual([receipt.steps, receipt.runs.map(({ status }) => status)], [2, ['succeeded']])
  assert.deepEqual(
    receipt.segments.map(({ step, outcome }) => [step, outcome]),
    [
      [0, 'completed'],
      [1, 'completed'],
    ],
  )

  const told = toldTo(route.upstreams.only, 1)
  const [said, answered] = told.slice(-2)
  assert.equal(said?.content, 'Let me see. ')
  assert.equal(said?.tool_calls?.[0]?.function.arguments, '{"expression":"6*7"}')
  assert.deepEqual([answered?.role, answered?.content], ['tool', '{"result":42}'])
  assert.equal(answered?.tool_call_id, said?.tool_calls?.[0]?.id)

  const turns = `/api/v1/conversations/${asked.conversation}/turns`
  await route.client.call('POST', turns, { message: 'sure?' })
  assert.deepEqual(toldTo(route.upstreams.only, 2).slice(0, told.length), told)
})

test('a failover in the next step does not call the action again', async () => {
  await using route = await startRoute({
    first: { plans: [calculate('6*7'), { pieces: ['It ', 'is '], fault: 'cut' }] },
    second: { plans: [{ pieces: ['42.'] }], spec: { continuation: 'prefill' } },
  })
  const asked = await route.ask('what is six times seven?', 'helper')
  assert.equal(await checkOneText(route, asked), 'It is 42.')
  assert.equal(callsOf(asked).length, 1)
  assert.equal(resultsOf(asked).length, 1)
  assert.equal(route.upstreams.second?.requests.length, 1)
  const told = toldTo(route.upstreams.second, 0)
  assert.deepEqual(
    told.map(({ role }) => role),
    ['system', 'user', 'assistant', 'tool', 'assistant'],
  )
  assert.equal(told[3]?.content, '{"result":42}')
})

test('what was done in a turn that then failed is known in the next one', async () => {
  await using route = await startRoute({
    only: { plans: [calculate('6*7'), { status: 400 }, { pieces: ['42.'] }] },
  })
  const asked = await route.ask('what is six times seven?', 'helper')
  assert.equal(asked.events.at(-1)?.type, 'turn.failed')
  const turns = `/api/v1/conversations/${asked.conversation}/turns`
  await route.client.call('POST', turns, { message: 'and?' })
  assert.deepEqual(
    toldTo(route.upstreams.only, 2).map(({ role, content }) => [role, content]),
    [
      ['system', toldTo(route.upstreams.only, 0)[0]?.content],
      ['user', 'what is six times seven?'],
      ['assistant', null],
      ['tool', '{"result":42}'],
      ['assistant', 'The answer broke off here.'],
      ['user', 'and?'],
    ],
  )
})

test('a model that breaks off within a call has called nothing; the next one calls', async () => {
  const args = '{"expression":"6*7"}'
  await using route = await startRoute({
    first: {
      plans: [{ toolCalls: [{ name: 'calculate', arguments: args }], at: 2, fault: 'cut' }, { pieces: ['42.'] }],
    },
    second: { plans: [calculate('7*6')] },
  })
  const asked = await route.ask('what is six times seven?', 'helper')
  assert.deepEqual(
    callsOf(asked).map((call) => call.arguments),
    ['{"expression":"7*6"}'],
  )
  assert.equal(await checkOneText(route, asked), '42.')
  assert.ok(asked.events.every(({ type }) => type !== 'segment'))
})

for (const finish of ['length', 'content_filter']) {
  test(`after the finish reason ${finish} nothing is executed`, async () => {
    await using route = await startRoute({
      only: { plans: [{ ...calculate('6*7'), pieces: ['Well, '], finish }, { pieces: ['Again.'] }] },
    })
    const asked = await route.ask('what is six times seven?', 'helper')
    assert.deepEqual([callsOf(asked).length, resultsOf(asked).length], [0, 0])
    const completed = only<{ finish: string; receipt: Receipt }>(asked.events, 'turn.completed')
    assert.deepEqual([completed.finish, completed.receipt.runs], [finish, []])
    assert.equal(await checkOneText(route, asked), 'Well, ')
    assert.equal(route.upstreams.only?.requests.length, 1)
  })
}

test('calls whose pieces take turns are told apart, and run side by side', async () => {
  const plan: Plan = {
    toolCalls: ['1+1', '2+2', '3+3'].map((expression) => ({
      name: 'calculate',
      arguments: JSON.stringify({ expression }),
    })),
    interleave: true,
  }
  await using route = await startRoute({ only: { plans: [plan, { pieces: ['2, 4, 6.'] }] } })
  const asked = await route.ask('add up', 'helper')
  assert.deepEqual(
    callsOf(asked).map(({ index, arguments: args }) => [index, args]),
    [
      [0, '{"expression":"1+1"}'],
      [1, '{"expression":"2+2"}'],
      [2, '{"expression":"3+3"}'],
    ],
  )
  const [said, ...answered] = toldTo(route.upstreams.only, 1).slice(-4)
  assert.deepEqual(
    answered.map((message) => [message.tool_call_id, message.content]),
    [2, 4, 6].map((result, index) => [said?.tool_calls?.[index]?.id, JSON.stringify({ result })]),
  )
})

const mistakes: Record<string, { call: { name: string; arguments: string }; told: RegExp }> = {
  'arguments that are no JSON': { call: { name: 'calculate', arguments: '{"expression":' }, told: /JSON/ },
  'arguments that are no object': { call: { name: 'calculate', arguments: '[1]' }, told: /JSON object/ },
  'arguments that do not fit': { call: { name: 'calculate', arguments: '{"expression":1}' }, told: /expression/ },
  'an action that does not exist': { call: { name: 'launch', arguments: '{}' }, told: /calculate/ },
  'a property of every object': { call: { name: 'constructor', arguments: '{}' }, told: /no such action/ },
}

for (const [name, { call, told }] of Object.entries(mistakes)) {
  test(`the model is told of its mistake and corrects itself: ${name}`, async () => {
    await using route = await startRoute({
      only: { plans: [{ toolCalls: [call] }, calculate('6*7'), { pieces: ['42.'] }] },
    })
    const asked = await route.ask('what is six times seven?', 'helper')
    assert.equal(await checkOneText(route, asked), '42.')
    const [refused, done] = resultsOf(asked)
    assert.deepEqual([refused?.status, done?.status], ['rejected', 'succeeded'])
    const answered = toldTo(route.upstreams.only, 1).at(-1)
    assert.equal(answered?.role, 'tool')
    assert.match(String(answered?.content), told)
    assert.equal(String(answered?.content), refused?.output)
  })
}

test('a specialist without actions offers none, and runs none', async () => {
  await using route = await startRoute({ only: { plans: [calculate('6*7'), { pieces: ['I cannot.'] }] } })
  const asked = await route.ask('what is six times seven?', 'plain')
  assert.equal(route.upstreams.only?.requests[0]?.body.tools, undefined)
  assert.deepEqual(
    resultsOf(asked).map(({ status }) => status),
    ['rejected'],
  )
  assert.equal(await checkOneText(route, asked), 'I cannot.')
})
