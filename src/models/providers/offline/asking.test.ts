import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toldOf } from '#chat/pending.ts'
import { replyTo } from './reply.ts'

const text = { type: 'string', maxLength: 200 }
const desk = [
  tool('create_ticket', { title: text, priority: { enum: ['low', 'high'] } }, ['title']),
  tool('list_tickets', { status: { enum: ['open', 'closed'] } }),
  tool('close_ticket', { ticket: { type: 'integer' } }, ['ticket']),
  tool('restart_service', { service: text }, ['service']),
  tool('page_on_call', { message: text }, ['message']),
  tool('current_time', { zone: text }),
]

function tool(name: string, properties: object, required: string[] = []) {
  const parameters = { type: 'object', properties, required }
  return { type: 'function', function: { name, description: `Does ${name}.`, parameters } }
}

function callsFor(said: string): [name: string, args: unknown][] {
  const { calls } = replyTo({ messages: [{ role: 'user', content: said }], tools: desk })
  return calls.map(({ name, arguments: args }) => [name, JSON.parse(args)])
}

for (const [said, ...calls] of [
  ['open a ticket: printer on fire', ['create_ticket', { title: 'printer on fire' }]],
  ['Please file a ticket about the broken door', ['create_ticket', { title: 'the broken door' }]],
  ['raise a ticket called "Door, broken"', ['create_ticket', { title: 'Door, broken' }]],
  ['open a high priority ticket: it is down', ['create_ticket', { title: 'it is down', priority: 'high' }]],
  ['open a low-priority ticket: it hums', ['create_ticket', { title: 'it hums', priority: 'low' }]],
  [
    'open a ticket: it is down, priority high',
    ['create_ticket', { title: 'it is down, priority high', priority: 'high' }],
  ],
  ['list tickets', ['list_tickets', {}]],
  ['could you show me the open tickets?', ['list_tickets', { status: 'open' }]],
  ['close ticket 12', ['close_ticket', { ticket: 12 }]],
  ['restart the billing service', ['restart_service', { service: 'billing' }]],
  ['page the on-call', ['page_on_call', { message: 'page the on-call' }]],
  ['page the on-call: the database is down', ['page_on_call', { message: 'the database is down' }]],
  ['close ticket 1 and list all tickets', ['close_ticket', { ticket: 1 }], ['list_tickets', {}]],
  ['open a ticket: A and open a ticket: B', ['create_ticket', { title: 'A' }], ['create_ticket', { title: 'B' }]],
] as const) {
  test(`"${said}" asks for ${calls.map(([name]) => name).join(' and ')}`, () => {
    assert.deepEqual(callsFor(said), calls)
  })
}

test('a question asks for the function that has its answer, about the place that it names', () => {
  const tools = [tool('get_weather', { city: text }, ['city']), tool('get_ticket', { ticket: text }, ['ticket'])]
  for (const [said, city] of [
    ['What is the weather in Bern?', 'Bern'],
    ["What's the weather like in New York today?", 'New York'],
    ['how will the weather be for Saint-Denis?', 'Saint-Denis'],
    ['get the weather of Paris, France', 'Paris, France'],
    ['Please, what is the weather?', 'Please, what is the weather?'],
  ] as const) {
    const { calls } = replyTo({ messages: [{ role: 'user', content: said }], tools })
    assert.deepEqual(
      calls.map(({ name, arguments: given }) => [name, JSON.parse(given)]),
      [['get_weather', { city }]],
      said,
    )
  }
  for (const said of ['what is weather?', 'The weather in Bern is fine.', 'what is a ticket?']) {
    assert.deepEqual(replyTo({ messages: [{ role: 'user', content: said }], tools }).calls, [], said)
  }
})

test('what a ticket is about asks for nothing', () => {
  assert.deepEqual(callsFor('open a ticket: restart the billing service'), [
    ['create_ticket', { title: 'restart the billing service' }],
  ])
  assert.deepEqual(callsFor('open a ticket: what time is it'), [['create_ticket', { title: 'what time is it' }]])
  assert.deepEqual(callsFor('open a ticket: high winds'), [['create_ticket', { title: 'high winds' }]])
})

test('talk of tickets asks for nothing', () => {
  for (const said of ['are there any open tickets?', 'what is a ticket?', 'a ticket costs money', 'open the door']) {
    assert.deepEqual(callsFor(said), [], said)
  }
})

test('what an action waits for is told without what is meant for the model alone', () => {
  const told = (content: string) => {
    const call = { id: 'a', type: 'function', function: { name: 'create_ticket', arguments: '{}' } }
    const messages = [
      { role: 'user', content: 'open a ticket: fire' },
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'a', content },
    ]
    return replyTo({ messages, tools: desk }).text
  }
  const pending = { status: 'awaiting-approval', output: undefined, approval: undefined } as const
  assert.equal(
    told(toldOf(pending)),
    'create_ticket has not been done yet: it waits for approval. What comes of it will be reported later.',
  )
  assert.equal(
    told(toldOf({ ...pending, status: 'running' })),
    'create_ticket is under way. Its result will be reported later.',
  )
})
