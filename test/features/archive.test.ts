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
  const feedback = { rating: 'down', comment: 'That was not asked.' }
  assert.equal((await client.call('POST', `/api/v1/turns/${turn}/feedback`, feedback)).status, 204)
  const before = await client.call('GET', `/api/v1/turns/${turn}`)
  assert.deepEqual(before.body.feedback, feedback)
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

test('Redis has lost everything: conversations are listed, read, renamed and gone on with, and what was deleted stays so', {
  skip: await noOwnRedis(),
}, async () => {
  await using engines = await startSharedEngines()
  await using app = await startApp({ variables: engines.variables })
  await using another = await startApp({ variables: engines.variables })
  const { call, conversation: create, stream } = nativeClient(app.url)
  const say = async (conversation: string, message: string, from = stream) =>
    textOf(await collect((await from(conversation, message)).events))
  const flush = async () => {
    const redis = new Redis(engines.redis.url)
    await redis.flushall()
    redis.disconnect()
  }

  const [first, second, deleted, silent] = [
    await create('apollo'),
    await create('athena'),
    await create('apollo'),
    await create('apollo'),
  ]
  for (const each of [first, second, deleted]) await say(each, `My name is ${each}`)
  await say(first, 'What did I say?')
  assert.equal((await call('DELETE', `/api/v1/conversations/${deleted}`)).status, 204)
  assert.equal((await call('DELETE', '/api/v1/conversations/%00')).status, 404, 'what no database takes')
  const shown = async (url: string, id: string) => {
    const { status, body } = await nativeClient(url).call('GET', `/api/v1/conversations/${id}`)
    if (status !== 200) return status
    const { specialist, title, config, messages, liveTurn, createdAt } = body
    return { specialist, title, config, messages, liveTurn, createdAt: typeof createdAt }
  }
  const before = [await shown(app.url, first), await shown(app.url, second)]

  await flush()
  const listed = await nativeClient(another.url).call('GET', '/api/v1/conversations')
  assert.deepEqual(
    listed.body.items.map(({ id }: { id: string }) => id),
    [first, second],
  )
  for (const { url } of [app, another]) {
    assert.deepEqual([await shown(url, first), await shown(url, second)], before)
    assert.deepEqual([await shown(url, deleted), await shown(url, silent)], [404, 404])
  }

  await flush()
  // This replica remembers what the conversation was pinned to; the other one asks for it first.
  await say(first, 'Go on.')
  await say(second, 'Go on.', nativeClient(another.url).stream)
  for (const [id, turns] of [
    [first, 3],
    [second, 2],
  ] as const) {
    const { body } = await call('GET', `/api/v1/conversations/${id}/messages`)
    const said = body.items.filter(({ role }: { role: string }) => role === 'user')
    assert.equal(said.length, turns)
    assert.equal(said[0].content, `My name is ${id}`)
    assert.equal(said.at(-1).content, 'Go on.')
  }

  await flush()
  const renamed = await call('PATCH', `/api/v1/conversations/${second}`, { title: 'Names' })
  assert.deepEqual([renamed.status, renamed.body.title], [200, 'Names'])
  assert.equal((await call('DELETE', `/api/v1/conversations/${first}`)).status, 204)
  await flush()
  assert.equal(await shown(another.url, first), 404)
})
