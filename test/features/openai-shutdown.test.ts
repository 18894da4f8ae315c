import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, contentOf, readStream } from '../support/completions.ts'
import { startOpenAiApp } from '../support/openai-app.ts'
import { madeUpPieces } from '../support/upstream-plan.ts'

/** What callers of `/v1` see of a process that is told to stop. */

const models = ['default', 'helper']

test('answers under way get the grace time, and nothing new begins', async () => {
  const world = await startOpenAiApp({ PARLEY_DRAIN_MS: '20000' })
  const { promise: isRefused, resolve: goOn } = Promise.withResolvers<void>()
  world.upstream.plan = () => ({ tokens: 250, pace: 250, held: { at: 100, until: isRefused } })
  const running = await Promise.all(models.map((model) => ask(world.app.url, { model, stream: true })))
  const stopping = world[Symbol.asyncDispose]()
  for (const model of models) {
    const refused = await ask(world.app.url, { model })
    assert.equal(refused.status, 503)
    const { error } = (await refused.json()) as { error: { code: string } }
    assert.equal(error.code, 'shutting_down')
    assert.equal(refused.headers.get('x-should-retry'), 'true')
  }
  goOn()
  for (const response of running) {
    const { chunks, done } = readStream(await response.text())
    assert.equal(contentOf(chunks), madeUpPieces(250).join(''))
    assert.ok(done)
  }
  await stopping
})

test('what takes longer ends with an error, in the stream or with a status', async () => {
  const world = await startOpenAiApp({ PARLEY_DRAIN_MS: '50' })
  world.upstream.plan = (request) =>
    JSON.stringify(request).includes('silent') ? { firstDelayMs: 60_000 } : { tokens: 1000, pace: 100 }
  const speaking = await Promise.all(models.map((model) => ask(world.app.url, { model, stream: true })))
  const silent = models.map((model) => ask(world.app.url, { model, messages: [{ role: 'user', content: 'silent' }] }))
  await world.upstream.arrived(4)
  const stopping = world[Symbol.asyncDispose]()
  for (const response of speaking) {
    const { chunks, done } = readStream(await response.text())
    assert.equal(chunks.at(-1)?.error?.code, 'shutting_down')
    assert.ok(contentOf(chunks.slice(0, -1)).startsWith(madeUpPieces(1).join('')))
    assert.equal(done, false)
  }
  for (const response of await Promise.all(silent)) assert.equal(response.status, 503)
  await stopping
  assert.ok(world.upstream.requests.every((request) => request.abortedAt !== undefined))
})
