import assert from 'node:assert/strict'
import { test } from 'node:test'
import { replyTo } from './reply.ts'

const system = { role: 'system', content: 'You help the operations team with incidents. You are brief. Never lie.' }
const clock = tool('current_time', 'The current date and time in a time zone.', { zone: { type: 'string' } }, ['zone'])
const sum = tool('calculate', 'Evaluates an arithmetic expression.', { expression: { type: 'string' } }, ['expression'])
const ticket = tool(
  'create_ticket',
  'Opens a ticket in the service desk.',
  {
    title: { type: 'string', maxLength: 20 },
    priority: { enum: ['low', 'high'] },
    days: { type: 'integer' },
    urgent: { type: 'boolean' },
  },
  ['title', 'priority'],
)
const tools = [clock, sum, ticket]

function tool(name: string, description: string, properties: object, required: string[]) {
  return { type: 'function', function: { name, description, parameters: { type: 'object', properties, required } } }
}

function ask(said: string, more: object = {}, earlier: readonly object[] = []) {
  return replyTo({ messages: [system, ...earlier, { role: 'user', content: said }], ...more })
}

function said(...sayings: string[]) {
  return sayings.flatMap((content) => [
    { role: 'user', content },
    { role: 'assistant', content: 'I see.' },
  ])
}

function callsFor(text: string, more: object = {}) {
  return ask(text, { tools, ...more }).calls.map(({ name, arguments: args }) => [name, JSON.parse(args)])
}

test('greets, by name if it knows one, with the task of its specialist', () => {
  assert.equal(
    ask('Hello!').text,
    "Hello! I am Parley's offline model. I help the operations team with incidents. I am brief. What can I do for you?",
  )
  assert.match(ask('good morning', {}, said('My name is Zoë.')).text, /^Hello, Zoë!/)
})

test('says what it is and what to set to talk to a real model', () => {
  const { text } = ask('Who are you?')
  assert.match(text, /offline model/)
  assert.match(text, /OPENAI_API_KEY/)
  assert.match(text, /AZURE_OPENAI_ENDPOINT/)
  assert.match(text, /I help the operations team/)
})

test('tells its role from the instructions, and what it may call', () => {
  const { text } = ask('What can you do for me?', { tools })
  assert.match(text, /^I help the operations team with incidents\. I am brief\./)
  assert.match(text, /current_time .*calculate .*create_ticket/)
  assert.match(replyTo({ messages: [{ role: 'user', content: 'What is your role?' }] }).text, /no instructions/)
})

test('recalls what was said earlier in the conversation', () => {
  const earlier = said('My name is Ada, my favourite colour is teal.', 'I live in Bern.', 'Do we live?')
  assert.equal(ask('What is my name?', {}, earlier).text, 'Your name is Ada.')
  assert.equal(ask("what's my favourite colour?", {}, earlier).text, 'Your favourite colour is teal, as you told me.')
  assert.equal(ask('Where do I live?', {}, earlier).text, 'Earlier you said: “I live in Bern.”')
  assert.equal(ask('What did I just say?', {}, earlier).text, 'You said: “Do we live?”')
  assert.match(ask('Who am I?', {}, said('I am happy.')).text, /have not told me/)
})

test('takes note of what it is told', () => {
  assert.equal(ask('My dog is brown.').text, 'Noted: your dog is brown.')
  assert.match(ask('call me Ada').text, /^Nice to meet you, Ada\./)
})

test('sums up, repeats, counts and thanks', () => {
  assert.equal(ask('Summarise: One thing happened. Then another.').text, 'In short: One thing happened.')
  assert.equal(
    ask('summarize this chat', {}, said('First. And more.', 'Second?')).text,
    'So far you said: “First.”, “Second?”.',
  )
  assert.equal(ask('Repeat after me: “tea at 5”').text, 'tea at 5')
  assert.equal(ask('count to 5').text, '1, 2, 3, 4, 5')
  assert.equal(ask('Thank you!').text, 'You are welcome.')
})

test('writes as many words as it is asked for, within bounds', () => {
  const words = (text: string) => ask(text).text.split(' ').length
  assert.equal(words('Write 200 words about the sea'), 200)
  assert.equal(words('tell me a story'), 200)
  assert.equal(words('write 1 word'), 1)
  assert.equal(words('write 5000 words'), 5000)
  assert.equal(words('write 5001 words'), 5000)
})

test('says that it does not know, and quotes what it heard', () => {
  const { text } = ask('What is the capital of France?')
  assert.match(text, /“What is the capital of France\?”/)
  assert.match(text, /offline model/)
  assert.match(replyTo({ messages: [] }).text, /^You said nothing\./)
})

test('reads multi-part content and does not pretend to see images', () => {
  const content = [
    { type: 'text', text: 'Look' },
    { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } },
  ]
  assert.match(replyTo({ messages: [{ role: 'user', content }] }).text, /“Look”\. I cannot see the image you sent\./)
})

test('answers the same request with the same reply', () => {
  assert.deepEqual(ask('tell me a story about 3 things', { tools }), ask('tell me a story about 3 things', { tools }))
})

test('calls the function that the words are about', () => {
  assert.deepEqual(callsFor('What time is it in Tokyo?'), [['current_time', { zone: 'Asia/Tokyo' }]])
  assert.deepEqual(callsFor('the date in America/New_York please'), [['current_time', { zone: 'America/New_York' }]])
  assert.deepEqual(callsFor('what is the time?'), [['current_time', { zone: 'UTC' }]])
  assert.deepEqual(callsFor('What is 12 times 7?'), [['calculate', { expression: '12 * 7' }]])
  assert.deepEqual(callsFor('how much is (2 + 3) * 4.5 ?'), [['calculate', { expression: '(2 + 3) * 4.5' }]])
  assert.deepEqual(callsFor('Tell me about time and space'), [])
})

test('fills arguments from the schema and the words', () => {
  assert.deepEqual(callsFor('Create a ticket with title: Printer on fire, priority high, days: 3'), [
    ['create_ticket', { title: 'Printer on fire', priority: 'high', days: 3 }],
  ])
  assert.deepEqual(callsFor('create two tickets'), [
    ['create_ticket', { title: 'create two tickets', priority: 'low' }],
  ])
  assert.deepEqual(callsFor('create a ticket "a title in quotes" now'), [
    ['create_ticket', { title: 'a title in quotes', priority: 'low' }],
  ])
})

test('asks for two calls when it is asked two things', () => {
  const { calls } = ask('What time is it in Rome and what is 2 + 3?', { tools })
  assert.deepEqual(calls, [
    { id: 'call_2_0', name: 'current_time', arguments: '{"zone":"Europe/Rome"}' },
    { id: 'call_2_1', name: 'calculate', arguments: '{"expression":"2 + 3"}' },
  ])
})

test('passes dictated arguments on as they stand, right or wrong', () => {
  const dictated = (text: string) => ask(text, { tools }).calls.map(({ name, arguments: args }) => [name, args])
  assert.deepEqual(dictated('call calculate with {"expression": "}{"} and call create_ticket {"x":{"y":1}} now'), [
    ['calculate', '{"expression": "}{"}'],
    ['create_ticket', '{"x":{"y":1}}'],
  ])
  assert.deepEqual(dictated('use calculate with {"expression": oops'), [['calculate', '{"expression": oops']])
  assert.deepEqual(dictated('call unknown_thing with {"a":1}'), [])
})

test('respects tool_choice', () => {
  assert.deepEqual(callsFor('What is 2 + 3?', { tool_choice: 'none' }), [])
  assert.deepEqual(callsFor('hello', { tool_choice: 'auto' }), [])
  assert.deepEqual(callsFor('hello', { tool_choice: 'required' }), [['current_time', { zone: 'UTC' }]])
  const named = { type: 'function', function: { name: 'create_ticket' } }
  assert.deepEqual(callsFor('What is 2 + 3?', { tool_choice: named }), [
    ['create_ticket', { title: 'What is 2 + 3?', priority: 'low' }],
  ])
})

test('answers from the results of its calls, in words', () => {
  const messages = [
    { role: 'user', content: 'What time is it in Tokyo and what is 12 * 7?' },
    {
      role: 'assistant',
      tool_calls: [
        { id: 'a', type: 'function', function: { name: 'current_time', arguments: '{}' } },
        { id: 'b', type: 'function', function: { name: 'calculate', arguments: '{}' } },
        { id: 'c', type: 'function', function: { name: 'create_ticket', arguments: '{}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'b', content: '{"result":84}' },
    { role: 'tool', tool_call_id: 'a', content: '{"zone":"Asia/Tokyo","time":"12:01"}' },
    { role: 'tool', tool_call_id: 'c', content: 'The desk is closed.' },
  ]
  assert.deepEqual(replyTo({ messages, tools, tool_choice: 'required' }), {
    text: 'calculate gives 84. current_time gives zone Asia/Tokyo, time 12:01. create_ticket says: The desk is closed.',
    calls: [],
  })
})

test('answers in JSON when asked to', () => {
  assert.deepEqual(Object.keys(JSON.parse(ask('Hello', { response_format: { type: 'json_object' } }).text)), [
    'answer',
    'model',
  ])
  const schema = {
    type: 'object',
    required: ['mood', 'count', 'tags', 'inner'],
    properties: {
      mood: { enum: ['calm', 'loud'] },
      count: { type: 'integer', minimum: 2 },
      tags: { type: 'array', minItems: 1, items: { const: 'x' } },
      inner: {
        type: 'object',
        required: ['ok'],
        properties: { ok: { type: ['boolean', 'null'] }, other: { type: 'string' } },
      },
    },
  }
  const { text } = ask('Hello', { response_format: { type: 'json_schema', json_schema: { schema } } })
  assert.deepEqual(JSON.parse(text), { mood: 'calm', count: 2, tags: ['x'], inner: { ok: true } })
})

test('continues the beginning of an answer', () => {
  const whole = ask('Hello').text
  const from = (content: string) =>
    replyTo({ messages: [system, { role: 'user', content: 'Hello' }, { role: 'assistant', content }] })
  for (const cut of [1, 10, whole.length]) assert.equal(whole.slice(0, cut) + from(whole.slice(0, cut)).text, whole)
  assert.equal(from('Another model said this').text, ` … ${whole}`)
})

test('does not trip over requests of odd shapes', () => {
  const odd = [
    null,
    1,
    'text',
    {},
    { function: null },
    { function: { name: 1 } },
    { function: { name: 'x', parameters: 3 } },
  ]
  assert.equal(ask('hello', { tools: odd }).calls.length, 0)
  assert.equal(ask('call x', { tools: odd }).calls[0]?.arguments, '{}')
  const deep: Record<string, unknown> = { type: 'object', required: ['a'] }
  deep.properties = { a: deep }
  assert.ok(ask('call x', { tools: [{ function: { name: 'x', parameters: deep } }] }).calls[0])
})

const head = '[Reported by the system, not written by the user: some actions have ended since.]'
function report(...runs: object[]) {
  return [head, ...runs.map((run) => JSON.stringify(run))].join('\n')
}

test('tells what came of actions that ended after their turn', () => {
  const earlier = said('Open a ticket.')
  const opened = { run: 'run_1', action: 'create_ticket', status: 'succeeded', output: '{"id":"T-1"}' }
  const refused = { run: 'run_2', action: 'close_ticket', status: 'rejected', output: 'Not before Monday.' }
  const gone = { run: 'run_3', action: 'list_tickets', status: 'expired' }
  assert.equal(
    ask(report(opened, refused, gone), { tools }, earlier).text,
    'About what you asked for earlier: create_ticket gives T-1. close_ticket ended as rejected: Not before Monday. list_tickets ended as expired.',
  )
  assert.deepEqual(ask(report(opened), { tools }, earlier).calls, [])
})

test('a report is not what the user said', () => {
  const opened = { run: 'run_1', action: 'create_ticket', status: 'succeeded', output: 'What time is it?' }
  const earlier = [...said('I like tea.'), ...said(report(opened))]
  assert.equal(ask('What did I just say?', {}, earlier).text, 'You said: “I like tea.”')
  assert.equal(
    ask(`${report(opened)}\n\nWhat did I just say?`, {}, said('I like tea.')).text,
    'You said: “I like tea.”',
  )
  assert.match(ask('[not a report]\n{"a":1}').text, /You said: “\[not a report\]/)
  assert.match(ask('[not a report]\nnull').text, /You said: “\[not a report\]/)
})
