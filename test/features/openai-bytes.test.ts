import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { startApp, type TestApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { ask, contentOf, readStream } from '../support/completions.ts'

/** However the network cuts what a provider says, the caller gets the same bytes. */

/** What the provider says next: its body, and the sizes of the reads that it arrives in. */
let next: { body: Buffer; cuts: readonly number[] }
const provider = createServer((request, response) => {
  request.resume().on('end', async () => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    request.socket.setNoDelay(true)
    let at = 0
    for (const size of next.cuts) {
      if (at >= next.body.length) break
      response.write(next.body.subarray(at, at + size))
      at += size
      await new Promise(setImmediate)
    }
    response.end(next.body.subarray(at))
  })
})
let app: TestApp

before(async () => {
  provider.listen(0, '127.0.0.1')
  await once(provider, 'listening')
  const host = `127.0.0.1:${(provider.address() as AddressInfo).port}`
  app = await startApp({
    config: chatConfig({ primary: upstreamModel('primary', `http://${host}/v1`) }),
    variables: { PARLEY_EGRESS_HOSTS: host },
  })
})

after(async () => {
  await app.stop()
  provider.closeAllConnections()
  provider.close()
})

const chunk = (choices: object[], more: object = {}) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'm',
  choices,
  ...more,
})

/** One frame of the body, as text. */
const frame = fc
  .record({
    content: fc.string({ unit: 'grapheme', maxLength: 12 }),
    more: fc.constantFrom(
      {},
      { logprobs: null },
      { logprobs: { content: [{ token: '"[DONE]"' }] } },
      { vendor: ['\n\n'] },
    ),
    space: fc.constantFrom('data: ', 'data:'),
    end: fc.constantFrom('\n\n', '\r\n\r\n'),
  })
  .map(({ content, more, space, end }) => ({
    content,
    text: `${space}${JSON.stringify(chunk([{ index: 0, delta: { content }, finish_reason: null, ...more }]))}${end}`,
  }))

test('the frames of a provider arrive byte for byte, however they were cut', async () => {
  const finish = `data: ${JSON.stringify(chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]))}\n\n`
  const usage = `data: ${JSON.stringify(chunk([], { usage: { prompt_tokens: 1, completion_tokens: 2 } }))}\n\n`
  await fc.assert(
    fc.asyncProperty(
      fc.array(frame, { minLength: 1, maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 40 }),
      async (frames, cuts) => {
        const said = frames.map(({ text }) => text).join('')
        next = { body: Buffer.from(`${said}${finish}${usage}data: [DONE]\n\n`), cuts }
        const response = await ask(app.url, { model: 'default', stream: true })
        assert.equal(await response.text(), `${said}${finish}data: [DONE]\n\n`)
      },
    ),
    { numRuns: 150 },
  )
})

test('cut at every single byte, also within characters, it is the same', async () => {
  const said = ['δ🙂', 'e\u0301', '\ud83d\ude00\u200d', 'plain']
    .map((content) => `data: ${JSON.stringify(chunk([{ index: 0, delta: { content }, finish_reason: null }]))}\n\n`)
    .join('')
  const finish = `data: ${JSON.stringify(chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]))}\n\n`
  const body = Buffer.from(`${said}${finish}data: [DONE]\n\n`)
  next = { body, cuts: Array(body.length).fill(1) }
  for (const model of ['default', 'plain']) {
    const response = await ask(app.url, { model, stream: true })
    assert.equal(await response.text(), body.toString())
  }
  const turned = await ask(app.url, { model: 'helper', stream: true })
  const { chunks, done } = readStream(await turned.text())
  assert.equal(contentOf(chunks), 'δ🙂e\u0301\ud83d\ude00\u200dplain')
  assert.ok(done)
})

test('an answer that is put together is the text that was said, however it was cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(frame, { minLength: 1, maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 40 }),
      fc.constantFrom('default', 'helper'),
      async (frames, cuts, model) => {
        const finish = JSON.stringify(chunk([{ index: 0, delta: {}, finish_reason: 'stop' }]))
        next = {
          body: Buffer.from(`${frames.map(({ text }) => text).join('')}data: ${finish}\n\ndata: [DONE]\n\n`),
          cuts,
        }
        const response = await ask(app.url, { model })
        const { choices } = (await response.json()) as { choices: { message: { content: string } }[] }
        assert.equal(choices[0]?.message.content, frames.map(({ content }) => content).join(''))
      },
    ),
    { numRuns: 60 },
  )
})
