import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { ask, rawAsk, startSurface } from '../../../test/support/completions.ts'
import { RelayingChat } from '../../../test/support/scripted-relay.ts'

async function relaying(body: object = {}) {
  const chat = new RelayingChat()
  const transport = await startSurface(chat)
  const asked = ask(transport.url, body)
  return { transport, asked, relay: await chat.relayed(1) }
}

test('an answer that is not streamed comes as one completion, with its usage', async () => {
  for (const stream of [false, null, undefined]) {
    const { transport, asked, relay } = await relaying({ stream })
    await using _ = transport
    relay.speaker('primary').say('one ', 'two').finish()
    const response = await asked
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('content-type'), 'application/json; charset=utf-8')
    assert.equal(response.headers.get('x-parley-model'), 'primary')
    assert.equal(response.headers.get('x-parley-config'), 'v001')
    assert.deepEqual(await response.json(), {
      id: 'chatcmpl-scripted',
      object: 'chat.completion',
      created: 7,
      model: 'wire',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'one two', refusal: null },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15, prompt_tokens_details: { cached_tokens: 4 } },
    })
  }
})

test('a model that goes on completes the text; one that starts over replaces it: nobody has seen it yet', async () => {
  for (const reset of [false, true]) {
    const { transport, asked, relay } = await relaying()
    await using _ = transport
    relay.speaker('primary').say('one ').ended({ outcome: 'failed', reason: 'cut_off' })
    relay.seam('backup', 'cut_off', reset).say('two').finish({ model: 'backup' })
    const response = await asked
    const body = (await response.json()) as { choices: { message: { content: string } }[]; parley: unknown }
    assert.equal(body.choices[0]?.message.content, reset ? 'two' : 'one two')
    assert.equal(response.headers.get('x-parley-model'), 'backup')
    assert.deepEqual(body.parley, { failovers: [{ model: 'primary', reason: 'cut_off' }], cost_usd: 0.002 })
  }
})

test('a failure is an error with its status, even after half of the answer', async () => {
  const { transport, asked, relay } = await relaying()
  await using _ = transport
  relay.say('half').fail(new ParleyError('model_interrupted'))
  const response = await asked
  assert.equal(response.status, 502)
  assert.equal(response.headers.get('x-should-retry'), 'true')
  assert.equal(((await response.json()) as { error: { code: string } }).error.code, 'model_interrupted')
})

test('a caller that leaves is worked for no longer', async () => {
  const chat = new RelayingChat()
  await using transport = await startSurface(chat)
  const client = transport.raw().send(rawAsk({ stream: false }))
  const relay = await chat.relayed(1)
  relay.say('half')
  client.destroy()
  await assert.rejects(relay.answer, /over/)
  assert.equal((await ask(transport.url, { model: 'nobody' })).status, 404)
  assert.deepEqual(transport.logged, [])
})
