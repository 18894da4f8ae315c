import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type AIMessage, type BaseMessage, HumanMessage, ToolMessage } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { type OpenAiApp, startOpenAiApp, weatherTool } from '../support/openai-app.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

/** LangChain's ChatOpenAI. */

let world: OpenAiApp

before(async () => {
  world = await startOpenAiApp()
})

after(() => world[Symbol.asyncDispose]())

const chat = (model: string, streaming = true) =>
  new ChatOpenAI({
    model,
    apiKey: 'any',
    maxRetries: 0,
    streaming,
    streamUsage: true,
    configuration: { baseURL: world.baseUrl },
  })

test('answers come whole', async () => {
  for (const model of ['default', 'plain', 'helper']) {
    const message = await chat(model, false).invoke('mock: tokens=5')
    assert.equal(message.content, madeUpPieces(5).join(''))
    assert.equal(message.usage_metadata?.total_tokens, 21)
    assert.equal(message.response_metadata.finish_reason, 'stop')
  }
  for (const model of ['offline', 'talker', 'doer']) {
    assert.equal((await chat(model, false).invoke('Repeat: one two three')).content, 'one two three')
  }
})

test('answers are streamed, with their usage at the end', async () => {
  for (const model of ['default', 'plain', 'helper']) {
    const chunks = await Array.fromAsync(await chat(model).stream('mock: tokens=30 pace=600'))
    assert.equal(chunks.map((chunk) => chunk.text).join(''), madeUpPieces(30).join(''))
    assert.ok(chunks.length > 20)
    assert.equal(chunks.at(-1)?.usage_metadata?.output_tokens, 30)
  }
  for (const model of ['offline', 'talker', 'doer']) {
    const chunks = await Array.fromAsync(await chat(model).stream('Count to 20'))
    assert.match(chunks.map((chunk) => chunk.text).join(''), /^1, 2, .*, 20$/)
  }
})

test('tools are called and answered, streamed and not', async () => {
  for (const name of ['offline', 'talker', 'doer']) {
    for (const streaming of [false, true]) {
      const model = chat(name, streaming).bindTools([weatherTool])
      const ask = async (messages: BaseMessage[]): Promise<AIMessage> => {
        if (!streaming) return model.invoke(messages)
        const chunks = await Array.fromAsync(await model.stream(messages))
        return chunks.reduce((whole, chunk) => whole.concat(chunk))
      }
      const question = new HumanMessage('call get_weather with {"city":"Ulm"}')
      const answer = await ask([question])
      const call = answer.tool_calls?.[0]
      assert.deepEqual([call?.name, call?.args], ['get_weather', { city: 'Ulm' }])
      const result = new ToolMessage({ tool_call_id: call?.id ?? '', content: '{"sky":"blue"}' })
      assert.match((await ask([question, answer, result])).text, /blue/)
    }
  }
})

test('errors are those of OpenAI', async () => {
  await assert.rejects(chat('nobody', false).invoke('x'), { status: 404, code: 'model_not_found' })
  await assert.rejects(chat('default', false).invoke('mock: status=400'), { status: 400, code: 'provider_rejected' })
  await assert.rejects(chat('default', false).invoke('mock: status=500'), { status: 502 })
})

test('an error within a stream is thrown where it is read', async () => {
  for (const model of ['default', 'helper']) {
    world.upstream.plan = [{ tokens: 5, fault: 'cut', at: 3 }]
    let text = ''
    await assert.rejects(async () => {
      for await (const chunk of await chat(model).stream('?')) text += chunk.text
    }, /in the middle of its answer/)
    assert.equal(text, madeUpPieces(3).join(''))
  }
})

test('a stream that is aborted stops the provider', async () => {
  for (const model of ['default', 'helper']) {
    const count = world.upstream.requests.length + 1
    const abort = new AbortController()
    await assert.rejects(async () => {
      const stream = await chat(model).stream('mock: tokens=1000 pace=50', { signal: abort.signal })
      for await (const chunk of stream) if (chunk.text !== '') abort.abort()
    }, /abort/i)
    const seen = await world.upstream.arrived(count)
    await seen.closed
    assert.ok(seen.abortedAt !== undefined && seen.sent < 1000)
  }
})
