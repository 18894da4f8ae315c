import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { systemClock } from '#platform/clock.ts'
import { ask, contentOf, readStream } from '../support/completions.ts'
import { type OpenAiApp, startOpenAiApp, weatherTool } from '../support/openai-app.ts'
import { madeUpPieces, type PlannedCall } from '../support/upstream-plan.ts'

/** What a specialist with actions does on `/v1`: it opens a turn. */

interface Message {
  role: string
  content: string | null
  tool_calls?: { id: string; function: { name: string; arguments: string } }[]
  tool_call_id?: string
}

interface Completion {
  id: string
  choices: { message: Message; finish_reason: string }[]
  usage: { prompt_tokens: number; completion_tokens: number }
}

let world: OpenAiApp

before(async () => {
  world = await startOpenAiApp()
})
beforeEach(() => {
  world.upstream.plan = []
})
after(() => world[Symbol.asyncDispose]())

const user = { role: 'user', content: 'Hello?' }
const calculate: PlannedCall = { name: 'calculate', arguments: '{"expression":"6*7"}' }
const weather: PlannedCall = { name: 'get_weather', arguments: '{"city":"Ulm"}' }

async function complete(body: object = {}, headers: Record<string, string> = {}) {
  const response = await ask(world.app.url, { model: 'helper', tools: [weatherTool], ...body }, { headers })
  assert.equal(response.status, 200)
  return { turn: response.headers.get('x-parley-turn'), body: (await response.json()) as Completion }
}

/** The messages that the provider was sent with request number `at`, from the end. */
const seen = (at = -1) => (world.upstream.requests.at(at)?.body.messages ?? []) as Message[]
const turnOf = async (id: string | null) =>
  (await (await fetch(`${world.app.url}/api/v1/turns/${id}`)).json()) as Record<string, unknown>

test('our calls run first and are not told of; the turn can be looked at', async () => {
  for (const stream of [false, true]) {
    world.upstream.plan = [{ toolCalls: [calculate] }, { pieces: ['It is ', '42.'] }]
    const response = await ask(world.app.url, {
      model: 'helper',
      stream,
      messages: [user],
      tools: [weatherTool],
      temperature: 0.5,
      stream_options: { include_usage: true },
    })
    const turn = response.headers.get('x-parley-turn')
    assert.equal(response.headers.get('x-parley-model'), 'primary')
    assert.equal(response.headers.get('x-parley-config'), 'v1')
    const text = await response.text()
    const whole: Completion | undefined = stream ? undefined : JSON.parse(text)
    assert.equal(whole ? whole.choices[0]?.message.content : contentOf(readStream(text).chunks), 'It is 42.')
    assert.ok(!text.includes('tool_calls'))
    const usage = whole?.usage ?? readStream(text).chunks.at(-1)?.usage
    assert.equal(usage?.prompt_tokens, 32)
    const { receipt, status } = await turnOf(turn)
    assert.equal(status, 'completed')
    assert.equal((receipt as { runs: unknown[] }).runs.length, 1)
    assert.equal(world.upstream.requests.at(-1)?.body.temperature, 0.5)
    const tools = world.upstream.requests.at(-1)?.body.tools as { function: { name: string } }[]
    assert.deepEqual(
      tools.map((tool) => tool.function.name),
      ['current_time', 'calculate', 'get_weather'],
    )
    assert.deepEqual(
      seen().map(({ role, content }) => [role, content]),
      [
        ['system', 'Answer, with actions.'],
        ['user', 'Hello?'],
        ['assistant', null],
        ['tool', '{"result":42}'],
      ],
    )
  }
})

test('the caller’s calls come back under ids of ours, and with its results the model sees the step whole', async () => {
  world.upstream.plan = [
    { pieces: ['Wait. '], toolCalls: [calculate] },
    { pieces: ['One more. '], toolCalls: [weather, calculate] },
    { pieces: ['Blue ', '42.'] },
  ]
  const first = await complete({ messages: [user] })
  const [choice] = first.body.choices
  assert.equal(choice?.finish_reason, 'tool_calls')
  assert.equal(choice?.message.content, 'Wait. One more. ')
  const calls = choice?.message.tool_calls ?? []
  assert.deepEqual(
    calls.map((call) => call.function),
    [weather],
  )
  assert.match(calls[0]?.id ?? '', /^call_[\w-]+$/)

  const answered = { role: 'tool', tool_call_id: calls[0]?.id, content: '{"sky":"blue"}' }
  const second = await complete({ messages: [user, choice?.message, answered] })
  assert.equal(second.body.choices[0]?.message.content, 'Blue 42.')
  assert.notEqual(second.turn, first.turn)
  const prompt = seen()
  assert.deepEqual(
    prompt.map(({ role, content }) => [role, content]),
    [
      ['system', 'Answer, with actions.'],
      ['user', 'Hello?'],
      ['assistant', 'Wait. '],
      ['tool', '{"result":42}'],
      ['assistant', 'One more. '],
      ['tool', '{"result":42}'],
      ['tool', '{"sky":"blue"}'],
    ],
  )
  // Every call is answered, none twice.
  const asked = prompt.flatMap((message) => message.tool_calls?.map(({ id }) => id) ?? [])
  assert.deepEqual(prompt.flatMap((message) => message.tool_call_id ?? []).sort(), asked.sort())
  assert.equal(new Set(asked).size, 3)
})

test('two clients of one history get the same; what is not kept is taken as the caller tells it', async () => {
  world.upstream.plan = [{ toolCalls: [weather, calculate] }]
  const { body } = await complete({ messages: [user] })
  const message = body.choices[0]?.message
  const answered = { role: 'tool', tool_call_id: message?.tool_calls?.[0]?.id, content: 'blue' }
  const prompts: Message[][] = []
  for (let i = 0; i < 2; i++) {
    await complete({ messages: [user, message, answered] })
    prompts.push(seen())
  }
  assert.deepEqual(prompts[0], prompts[1])
  assert.equal(prompts[0]?.filter(({ role }) => role === 'tool').length, 2)

  const foreign = {
    role: 'assistant',
    content: null,
    tool_calls: [{ id: 'call_of_old', type: 'function', function: weather }],
  }
  await complete({ messages: [user, foreign, { ...answered, tool_call_id: 'call_of_old' }] })
  assert.deepEqual(seen()[2], foreign)
})

test('our results are kept for an hour', async () => {
  let laterMs = 0
  const clock = { ...systemClock, now: () => Date.now() + laterMs }
  await using later = await startOpenAiApp({}, { clock })
  const say = async (messages: unknown[]) => {
    const response = await ask(later.app.url, { model: 'helper', tools: [weatherTool], messages })
    return ((await response.json()) as Completion).choices[0]?.message
  }
  later.upstream.plan = [{ toolCalls: [weather, calculate] }]
  const message = await say([user])
  const history = [user, message, { role: 'tool', tool_call_id: message?.tool_calls?.[0]?.id, content: 'blue' }]
  for (const [minutes, results] of [
    [59, 2],
    [61, 1],
  ] as const) {
    laterMs = minutes * 60_000
    await say(history)
    const prompt = later.upstream.requests.at(-1)?.body.messages as Message[]
    assert.equal(prompt.filter(({ role }) => role === 'tool').length, results)
  }
})

test('a tool under the name of an action is refused', async () => {
  const mine = { type: 'function', function: { name: 'calculate', parameters: {} } }
  const response = await ask(world.app.url, { model: 'helper', tools: [weatherTool, mine] })
  assert.equal(response.status, 400)
  const { error } = (await response.json()) as { error: { param: string; message: string } }
  assert.equal(error.param, 'tools.1.function.name')
  assert.match(error.message, /`calculate`/)
  assert.equal((await ask(world.app.url, { model: 'plain', tools: [mine] })).status, 200)
})

test('a forced call holds for the first step only', async () => {
  world.upstream.plan = [{ toolCalls: [calculate] }, { pieces: ['42'] }]
  const choice = { type: 'function', function: { name: 'calculate' } }
  const { body } = await complete({ messages: [user], tool_choice: choice })
  assert.equal(body.choices[0]?.message.content, '42')
  const [first, second] = world.upstream.requests.slice(-2)
  assert.deepEqual([first?.body.tool_choice, second?.body.tool_choice], [choice, undefined])
})

test('an Idempotency-Key makes a repeated request the same turn, and another body a fault', async () => {
  world.upstream.plan = [{ pieces: ['once'] }]
  const key = { 'idempotency-key': 'k-1' }
  const first = await complete({ messages: [user] }, key)
  const count = world.upstream.requests.length
  const again = await complete({ messages: [user] }, key)
  assert.deepEqual([again.turn, again.body.choices], [first.turn, first.body.choices])
  const streamed = await ask(
    world.app.url,
    { model: 'helper', tools: [weatherTool], messages: [user], stream: true },
    { headers: key },
  )
  assert.equal(contentOf(readStream(await streamed.text()).chunks), 'once')
  assert.equal(world.upstream.requests.length, count)
  const other = await ask(world.app.url, { model: 'helper', messages: [user] }, { headers: key })
  assert.equal(other.status, 422)
})

test('a caller that leaves cancels its turn, and the provider with it', async () => {
  for (const stream of [false, true]) {
    const count = world.upstream.requests.length + 1
    const leave = new AbortController()
    const body = { model: 'helper', stream, messages: [{ role: 'user', content: 'mock: tokens=1000 pace=100' }] }
    const asked = ask(world.app.url, body, { signal: leave.signal })
    const seen = await world.upstream.arrived(count)
    const turn = stream ? (await asked).headers.get('x-parley-turn') : null
    if (stream) for await (const _bytes of (await asked).body ?? []) break
    leave.abort()
    await asked.catch(() => {})
    await seen.closed
    assert.ok(seen.abortedAt !== undefined && seen.sent < 1000)
    if (!turn) continue
    while ((await turnOf(turn)).status === 'running') await new Promise(setImmediate)
    assert.equal((await turnOf(turn)).status, 'cancelled')
  }
})

test('a turn that somebody cancels ends the stream with an error', async () => {
  const response = await ask(world.app.url, {
    model: 'helper',
    stream: true,
    messages: [{ role: 'user', content: 'mock: tokens=1000 pace=100' }],
  })
  const turn = response.headers.get('x-parley-turn')
  const cancelled = await fetch(`${world.app.url}/api/v1/turns/${turn}/cancel`, { method: 'POST' })
  assert.equal(cancelled.status, 202)
  const { chunks, done } = readStream(await response.text())
  assert.equal(chunks.at(-1)?.error?.code, 'turn_finished')
  assert.equal(done, false)
})

test('what fails before the first word is an error with its status, and says how long to wait', async () => {
  world.upstream.plan = [{ status: 429, retryAfter: '7' }]
  const refused = await ask(world.app.url, { model: 'helper', stream: true })
  assert.equal(refused.status, 429)
  assert.ok(['6', '7'].includes(refused.headers.get('retry-after') ?? ''))
  assert.match(refused.headers.get('x-parley-turn') ?? '', /^turn_/)
})

test('the text of all steps reaches the caller as it was cut by nobody', async () => {
  await using fresh = await startOpenAiApp()
  for (const frag of [false, true]) {
    fresh.upstream.plan = [
      { tokens: 20, toolCalls: [calculate], frag },
      { tokens: 40, frag, crlf: true },
    ]
    const response = await ask(fresh.app.url, { model: 'helper', stream: true })
    const { chunks, done } = readStream(await response.text())
    assert.equal(contentOf(chunks), [...madeUpPieces(20), ...madeUpPieces(40)].join(''))
    assert.ok(done)
  }
})
