import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'
import { Redis } from 'ioredis'
import { createConversations } from '#conversations/create.ts'
import { conversationKeys } from '#conversations/keys.ts'
import { ParleyError } from '#errors.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openKv } from '#platform/kv/open.ts'
import {
  beginning,
  idleMs,
  masterKey,
  openConversations,
  say,
  somebody,
  type TestStore,
} from '../support/conversations.ts'
import { command, type RedisServer, startRedis } from '../support/redis.ts'
import { conversationsSuite } from './conversations.ts'
import { dataKeysSuite } from './data-keys.ts'
import { until } from './kv/under-test.ts'

let server: RedisServer

before(async () => {
  server = await startRedis()
})
after(() => server[Symbol.asyncDispose]())

conversationsSuite('Redis', openStore)
dataKeysSuite('Redis', openStore)

it('record, messages and index expire together, anew with each change', async (t) => {
  const { kvs, close } = await openStore()
  t.after(close)
  const who = somebody()
  const conversations = await openConversations(kvs[0], [masterKey('first')], systemClock)
  const { id } = await conversations.create(who, beginning())
  await say({ conversations, kv: kvs[0] }, who, id, 0, 'hello')
  const keys = Object.values(conversationKeys(who, id))
  for (const key of keys) assert.equal(await command(server.url, 'PEXPIRE', key, 60_000), 1)
  await conversations.rename(who, id, 'of use')
  for (const key of keys) {
    const ttlMs = Number(await command(server.url, 'PTTL', key))
    assert.ok(ttlMs > idleMs - 60_000 && ttlMs <= idleMs)
  }
})

it('a conversation expires by itself', async (t) => {
  const { kvs, close } = await openStore()
  t.after(close)
  const who = somebody()
  const masterKeys = { source: 'environment', keys: [masterKey('first')] } as const
  const idleMs = 500
  const conversations = await createConversations({ kv: kvs[0], masterKeys, idleMs })
  const beganAt = performance.now()
  const { id } = await conversations.create(who, beginning())
  const isGone = () =>
    conversations.get(who, id).then(
      () => false,
      (error: unknown) => error instanceof ParleyError && error.code === 'conversation_not_found',
    )
  const wasThere = !(await isGone())
  assert.ok(wasThere || performance.now() - beganAt >= idleMs, 'it was there for as long as it may be')
  await until(isGone)
  assert.deepEqual(await conversations.list(who, { limit: 10 }), { items: [], next: null })
})

async function openStore(): Promise<TestStore> {
  const open = () =>
    openKv({
      env: { engine: 'redis', url: server.url, cluster: false, auth: 'url' },
      clock: systemClock,
      log: createLog('silent'),
      tokens: { token: () => Promise.reject(new Error('this Redis needs no token')) },
    })
  const kvs = await Promise.all([open(), open()])
  return {
    kvs,
    atRest: () => dumpOf(server.url),
    close: async () => {
      await Promise.all(kvs.map((kv) => kv.close()))
    },
  }
}

/** All keys, and what a dump holds of them, uncompressed. */
async function dumpOf(url: string): Promise<Buffer> {
  const redis = new Redis(url)
  await redis.config('SET', 'rdbcompression', 'no')
  const keys = await redis.keys('*')
  const dumps = await Promise.all(keys.map((key) => redis.dumpBuffer(key)))
  redis.disconnect()
  return Buffer.concat([Buffer.from(keys.join('\n')), ...dumps.map((dump) => dump ?? Buffer.alloc(0))])
}
