import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Redis } from 'ioredis'
import { startApp } from '../support/app.ts'
import { collect, nativeClient, textOf } from '../support/native-client.ts'
import { noOwnRedis } from '../support/redis.ts'
import { startSharedEngines } from '../support/shared-engines.ts'

test('Redis has lost everything: what was said is still there, on another replica too', {
  skip: await noOwnRedis(),
}, async () => {
  await using engines = await startSharedEngines()
  await using app = await startApp({ variables: engines.variables })
  const client = nativeClient(app.url)
  const conversation = await client.conversation('apollo')
  const { turn, events } = await client.stream(conversation, 'Where is it kept?')
  const text = textOf(await collect(events))
  const before = await client.call('GET', `/api/v1/turns/${turn}`)
  const messages = await client.call('GET', `/api/v1/conversations/${conversation}/messages`)
  assert.equal(before.body.text, text)
  assert.notEqual(text, '')
  const asked = { arguments: { expression: '6*7' } }
  const { body } = await client.call('POST', '/api/v1/actions/calculate/runs', asked, { prefer: 'wait=30' })
  const run = body.id
  const done = await client.call('GET', `/api/v1/runs/${run}`)
  assert.deepEqual([done.body.status, done.body.arguments], ['succeeded', asked.arguments])

  const redis = new Redis(engines.redis.url)
  await redis.flushall()
  redis.disconnect()

  // It has never had the key of the one who asks in its memory.
  await using another = await startApp({ variables: engines.variables })
  for (const { url } of [app, another]) {
    const { call, resume } = nativeClient(url)
    assert.deepEqual((await call('GET', `/api/v1/turns/${turn}`)).body, before.body)
    assert.deepEqual((await call('GET', `/api/v1/conversations/${conversation}/messages`)).body, messages.body)
    assert.deepEqual((await call('GET', `/api/v1/runs/${run}`)).body, done.body)
    const again = await collect(await resume(turn))
    assert.deepEqual(
      again.map(({ type }) => type),
      ['snapshot', 'turn.completed'],
    )
  }
})
