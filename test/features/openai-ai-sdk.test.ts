import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, generateText, isStepCount, jsonSchema, streamText, tool } from 'ai'
import { type OpenAiApp, startOpenAiApp, weatherTool } from '../support/openai-app.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

/** The Vercel AI SDK with its provider for whatever speaks like OpenAI. */

let world: OpenAiApp
let parley: ReturnType<typeof createOpenAICompatible>

before(async () => {
  world = await startOpenAiApp()
  parley = createOpenAICompatible({ name: 'parley', baseURL: world.baseUrl, apiKey: 'any', includeUsage: true })
})

after(() => world[Symbol.asyncDispose]())

test('answers come whole', async () => {
  for (const model of ['default', 'plain', 'helper']) {
    const { text, usage, finishReason } = await generateText({ model: parley(model), prompt: 'mock: tokens=5' })
    assert.equal(text, madeUpPieces(5).join(''))
    assert.deepEqual([usage.inputTokens, usage.outputTokens, finishReason], [16, 5, 'stop'])
  }
  for (const model of ['offline', 'talker', 'doer']) {
    const { text } = await generateText({ model: parley(model), prompt: 'Repeat: one two three' })
    assert.equal(text, 'one two three')
  }
})

test('answers are streamed, with their usage at the end', async () => {
  for (const model of ['default', 'plain', 'helper']) {
    const result = streamText({ model: parley(model), prompt: 'mock: tokens=30 pace=600' })
    const pieces = await Array.fromAsync(result.textStream)
    assert.equal(pieces.join(''), madeUpPieces(30).join(''))
    assert.ok(pieces.length > 10)
    const { inputTokens, outputTokens } = await result.usage
    assert.deepEqual([inputTokens, outputTokens, await result.finishReason], [16, 30, 'stop'])
  }
  for (const model of ['offline', 'talker', 'doer']) {
    const { textStream } = streamText({ model: parley(model), prompt: 'Count to 20' })
    assert.match((await Array.fromAsync(textStream)).join(''), /^1, 2, .*, 20$/)
  }
})

test('tools are called and answered, streamed and not', async () => {
  const asked: string[] = []
  const { description, parameters } = weatherTool.function
  const tools = {
    get_weather: tool({
      description,
      inputSchema: jsonSchema<{ city: string }>(parameters as Parameters<typeof jsonSchema>[0]),
      execute: async ({ city }) => {
        asked.push(city)
        return { sky: 'blue' }
      },
    }),
  }
  const prompt = 'call get_weather with {"city":"Ulm"}'
  for (const name of ['offline', 'talker', 'doer']) {
    const whole = await generateText({ model: parley(name), prompt, tools, stopWhen: isStepCount(3) })
    assert.match(whole.text, /blue/)
    const streamed = streamText({ model: parley(name), prompt, tools, stopWhen: isStepCount(3) })
    assert.match((await Array.fromAsync(streamed.textStream)).join(''), /blue/)
  }
  assert.deepEqual(asked, Array(6).fill('Ulm'))
})

test('errors carry their status and say whether to try again', async () => {
  const ask = (model: string, prompt: string) => generateText({ model: parley(model), prompt, maxRetries: 0 })
  const of = (status: number, isRetryable: boolean) => (error: unknown) => {
    assert.ok(APICallError.isInstance(error))
    assert.deepEqual([error.statusCode, error.isRetryable], [status, isRetryable])
    return true
  }
  await assert.rejects(ask('nobody', 'x'), of(404, false))
  await assert.rejects(ask('default', 'mock: status=400'), of(400, false))
  await assert.rejects(ask('default', 'mock: status=500'), of(502, true))
})

test('an error within a stream is part of it', async () => {
  for (const model of ['default', 'helper']) {
    world.upstream.plan = [{ tokens: 5, fault: 'cut', at: 3 }]
    const errors: unknown[] = []
    const result = streamText({
      model: parley(model),
      prompt: '?',
      maxRetries: 0,
      onError: ({ error }) => void errors.push(error),
    })
    let text = ''
    for await (const part of result.stream) if (part.type === 'text-delta') text += part.text
    assert.equal(text, madeUpPieces(3).join(''))
    assert.equal(errors.length, 1)
    assert.match(JSON.stringify(errors[0]) + String(errors[0]), /in the middle of its answer/)
  }
})

test('a stream that is aborted stops the provider', async () => {
  for (const model of ['default', 'helper']) {
    const count = world.upstream.requests.length + 1
    const abort = new AbortController()
    const { textStream } = streamText({
      model: parley(model),
      prompt: 'mock: tokens=1000 pace=50',
      abortSignal: abort.signal,
    })
    for await (const piece of textStream) if (piece !== '') break
    abort.abort()
    const seen = await world.upstream.arrived(count)
    await seen.closed
    assert.ok(seen.abortedAt !== undefined && seen.sent < 1000)
  }
})
