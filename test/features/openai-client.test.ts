import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import OpenAI from 'openai'
import { type OpenAiApp, startOpenAiApp, weatherTool } from '../support/openai-app.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

/** OpenAI's own client, as people use it. */

let world: OpenAiApp
let client: OpenAI

before(async () => {
  world = await startOpenAiApp()
  client = new OpenAI({ baseURL: world.baseUrl, apiKey: 'sk-of-nobody', maxRetries: 0 })
})

after(() => world[Symbol.asyncDispose]())

const say = (content: string) => [{ role: 'user' as const, content }]

test('models are listed and looked up', async () => {
  const ids = (await Array.fromAsync(client.models.list())).map(({ id }) => id)
  assert.deepEqual(ids.sort(), ['default', 'doer', 'helper', 'offline', 'plain', 'talker'])
  assert.equal((await client.models.retrieve('helper')).owned_by, 'parley')
  await assert.rejects(client.models.retrieve('nobody'), OpenAI.NotFoundError)
})

test('answers come whole', async () => {
  const expected = { default: madeUpPieces(5).join(''), helper: madeUpPieces(5).join('') }
  for (const [model, content] of Object.entries(expected)) {
    const completion = await client.chat.completions.create({ model, messages: say('mock: tokens=5') })
    assert.deepEqual(completion.choices[0]?.message, { role: 'assistant', content, refusal: null })
    assert.equal(completion.choices[0]?.finish_reason, 'stop')
    assert.equal(completion.usage?.total_tokens, 21)
  }
  for (const model of ['offline', 'talker', 'doer']) {
    const completion = await client.chat.completions.create({ model, messages: say('Repeat: one two three') })
    assert.equal(completion.choices[0]?.message.content, 'one two three')
  }
})

test('answers are streamed, with their usage at the end', async () => {
  for (const model of ['default', 'plain', 'helper']) {
    const stream = await client.chat.completions.create({
      model,
      messages: say('mock: tokens=30 pace=600'),
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = await Array.fromAsync(stream)
    assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join(''), madeUpPieces(30).join(''))
    assert.ok(chunks.length > 20)
    assert.equal(chunks.at(-2)?.choices[0]?.finish_reason, 'stop')
    assert.equal(chunks.at(-1)?.usage?.completion_tokens, 30)
  }
  for (const model of ['offline', 'talker', 'doer']) {
    const stream = client.chat.completions.stream({ model, messages: say('Count to 20') })
    assert.match(await stream.finalContent().then(String), /^1, 2, .*, 20$/)
  }
})

test('tools are called and answered, streamed and not', async () => {
  for (const model of ['offline', 'talker', 'doer']) {
    for (const stream of [false, true]) {
      const asked: string[] = []
      const runner = client.chat.completions.runTools({
        model,
        stream: stream as false,
        messages: say('call get_weather with {"city":"Ulm"}'),
        tools: [
          {
            type: 'function',
            function: {
              ...weatherTool.function,
              parse: JSON.parse,
              function: ({ city }: { city: string }) => {
                asked.push(city)
                return '{"sky":"blue"}'
              },
            },
          },
        ],
      })
      assert.match((await runner.finalContent()) ?? '', /blue/)
      assert.deepEqual(asked, ['Ulm'])
    }
  }
})

test('tool calls of a provider arrive as it made them', async () => {
  for (const model of ['default', 'helper']) {
    world.upstream.plan = [
      {
        toolCalls: [
          { name: 'get_weather', arguments: '{"city":"Ulm"}' },
          { name: 'get_weather', arguments: '{"city":"Köln 🙂"}' },
        ],
        interleave: true,
      },
    ]
    const stream = client.chat.completions.stream({ model, messages: say('?'), tools: [weatherTool] })
    const { choices } = await stream.finalChatCompletion()
    assert.equal(choices[0]?.finish_reason, 'tool_calls')
    assert.deepEqual(
      choices[0]?.message.tool_calls?.map((call) => 'function' in call && call.function.arguments),
      ['{"city":"Ulm"}', '{"city":"Köln 🙂"}'],
    )
  }
})

test('parts, formats and parameters that we know nothing of reach the provider', async () => {
  const request = {
    model: 'default',
    messages: [
      {
        role: 'user' as const,
        content: [
          { type: 'text' as const, text: 'mock: tokens=1' },
          { type: 'image_url' as const, image_url: { url: 'data:image/png;base64,AAAA' } },
        ],
      },
    ],
    response_format: { type: 'json_schema' as const, json_schema: { name: 'answer', strict: true, schema: {} } },
    tool_choice: 'auto' as const,
    tools: [weatherTool],
    verbosity: 'low' as const,
    extra_of_vendor: { deep: [1, 2] },
  }
  await client.chat.completions.create(request)
  const { model: _, ...rest } = request
  const { model, stream, stream_options: options, ...seen } = world.upstream.requests.at(-1)?.body ?? {}
  assert.deepEqual(seen, rest)
  assert.deepEqual([model, stream, options], ['primary', true, { include_usage: true }])
})

test('errors are those of OpenAI', async () => {
  const ask = (content: string, more: object = {}) =>
    client.chat.completions.create({ model: 'default', messages: say(content), ...more })
  await assert.rejects(ask('x', { model: 'nobody' }), (error) => {
    assert.ok(error instanceof OpenAI.NotFoundError)
    assert.deepEqual([error.code, error.param, error.type], ['model_not_found', 'model', 'invalid_request_error'])
    assert.match(error.message, /`GET \/v1\/models` lists/)
    assert.match(String(error.requestID), /^req_/)
    return true
  })
  await assert.rejects(ask('x', { temperature: 'hot' }), OpenAI.BadRequestError)
  await assert.rejects(
    ask('mock: status=400'),
    (error) => error instanceof OpenAI.BadRequestError && error.code === 'provider_rejected',
  )
  await assert.rejects(ask('mock: status=500'), OpenAI.InternalServerError)
})

test('an error within a stream is thrown where it is read', async () => {
  for (const model of ['default', 'helper']) {
    world.upstream.plan = [{ tokens: 5, fault: 'cut', at: 3 }]
    const stream = await client.chat.completions.create({ model, messages: say('?'), stream: true })
    let text = ''
    await assert.rejects(
      async () => {
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
      },
      (error) => error instanceof OpenAI.APIError && error.code === 'model_interrupted',
    )
    assert.equal(text, madeUpPieces(3).join(''))
  }
})

test('what may succeed the next time is repeated by the client, what may not is not', async () => {
  const patient = client.withOptions({ maxRetries: 1 })
  const { upstream } = world
  const before = upstream.requests.length
  upstream.plan = [{ status: 500 }, { pieces: ['at last'] }]
  const completion = await patient.chat.completions.create({ model: 'plain', messages: say('?') })
  assert.equal(completion.choices[0]?.message.content, 'at last')
  assert.equal(upstream.requests.length, before + 2)
  upstream.plan = [{ status: 401 }]
  await assert.rejects(
    patient.chat.completions.create({ model: 'plain', messages: say('?') }),
    OpenAI.InternalServerError,
  )
  assert.equal(upstream.requests.length, before + 3)
})

test('a stream that is aborted stops the provider', async () => {
  for (const model of ['default', 'helper']) {
    const count = world.upstream.requests.length + 1
    const stream = await client.chat.completions.create({
      model,
      messages: say('mock: tokens=1000 pace=50'),
      stream: true,
    })
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break
    stream.controller.abort()
    const seen = await world.upstream.arrived(count)
    await seen.closed
    assert.ok(seen.abortedAt !== undefined && seen.sent < 1000)
  }
})
