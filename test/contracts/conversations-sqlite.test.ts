import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { conversationKeys } from '#conversations/keys.ts'
import { oldestConversations } from '#conversations/store/index.ts'
import { createLog } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { openKv } from '#platform/kv/open.ts'
import { manualClock } from '../support/clock.ts'
import {
  beginning,
  idleMs,
  masterKey,
  openConversations,
  say,
  somebody,
  type TestStore,
} from '../support/conversations.ts'
import { conversationsSuite } from './conversations.ts'
import { dataKeysSuite } from './data-keys.ts'

const notFound = { code: 'conversation_not_found' }

conversationsSuite('SQLite', openStore)
dataKeysSuite('SQLite', openStore)

it('a conversation expires when it was idle for long enough, with its messages', async (t) => {
  const { clock, kv, conversations, close } = await openAt()
  t.after(close)
  const who = somebody()
  const { id } = await conversations.create(who, beginning())
  await say({ conversations, kv }, who, id, 0, 'hello')
  clock.advance(idleMs - 1)
  assert.equal((await conversations.messages(who, id, -1, 10)).items.length, 2)
  await conversations.rename(who, id, 'still of use')
  clock.advance(idleMs - 1)
  assert.equal((await conversations.get(who, id)).title, 'still of use')
  assert.equal((await conversations.messages(who, id, -1, 10)).items.length, 2)
  assert.equal((await conversations.list(who, { limit: 10 })).items.length, 1)
  clock.advance(1)
  await assert.rejects(conversations.get(who, id), notFound)
  await assert.rejects(conversations.messages(who, id, -1, 10), notFound)
  await assert.rejects(conversations.rename(who, id, 'too late'), notFound)
  await assert.rejects(conversations.delete(who, id), notFound)
  assert.deepEqual(await conversations.list(who, { limit: 10 }), { items: [], next: null })
  assert.deepEqual(await kv.read(conversationKeys(who, id).messages, -1, 10), [])
})

it('one that has expired leaves the index of those that have not', async (t) => {
  const { clock, kv, conversations, close } = await openAt()
  t.after(close)
  const who = somebody()
  const early = await conversations.create(who, beginning())
  clock.advance(idleMs / 2)
  const late = await conversations.create(who, beginning())
  const { index } = conversationKeys(who, late.id)
  const indexed = async () => (await kv.run(oldestConversations, [index], [10])).map(({ id }) => id)
  clock.advance(idleMs / 2)
  assert.deepEqual(await indexed(), [early.id, late.id])
  assert.deepEqual(await conversations.list(who, { limit: 10 }), { items: [late], next: null })
  assert.deepEqual(await indexed(), [late.id])
})

async function openAt() {
  const clock = manualClock()
  const { kvs, close } = await openStore(clock)
  const conversations = await openConversations(kvs[0], [masterKey('first')], clock)
  return { clock, kv: kvs[0], conversations, close }
}

async function openStore(clock: Clock = manualClock()): Promise<TestStore> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-conversations-'))
  const kv = await openKv({
    env: { engine: 'sqlite', path: join(folder, 'state.db') },
    clock,
    log: createLog('silent'),
    tokens: { token: () => Promise.reject(new Error('SQLite needs no token')) },
  })
  return {
    // One process at a time has the file, so both replicas of a test share it.
    kvs: [kv, kv],
    atRest: async () => {
      const files = await readdir(folder)
      return Buffer.concat(await Promise.all(files.map((file) => readFile(join(folder, file)))))
    },
    close: async () => {
      await kv.close()
      await rm(folder, { recursive: true })
    },
  }
}
