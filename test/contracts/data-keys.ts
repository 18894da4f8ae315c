import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Conversations } from '#conversations/conversations.ts'
import { dataKeyOf } from '#conversations/data-keys/wrapping.ts'
import { conversationKeys } from '#conversations/keys.ts'
import { decodeMessages } from '#conversations/message-codec.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { manualClock } from '../support/clock.ts'
import {
  beginning,
  type MasterKey,
  masterKey,
  openConversations,
  say,
  somebody,
  type TestStore,
} from '../support/conversations.ts'
import { until } from './kv/under-test.ts'

const unreadable = { code: 'sealed_unreadable' }
const gone = { code: 'conversation_not_found' }

/** That what people say is sealed, and erased with its key, on whichever engine keeps it. */
export function dataKeysSuite(engine: string, openStore: () => Promise<TestStore>): void {
  describe(`data keys on ${engine}`, () => {
    const master = masterKey('first')
    const clock = manualClock()
    let store: TestStore
    let kv: Kv
    let conversations: Conversations

    const on = (kv: Kv, masters = [master]) => openConversations(kv, masters, clock, store)
    const begin = (who: Principal, title?: string) =>
      conversations.create(who, { ...beginning(), ...(title !== undefined && { title }) })

    beforeEach(async () => {
      store = await openStore()
      kv = store.kvs[0]
      conversations = await on(kv)
    })
    afterEach(() => store.close())

    it('leaves nothing readable at rest', async () => {
      const who = somebody()
      const secrets = ['The merger with Halcyon', 'Who knows about Halcyon?', 'renamed to Zephyranthes']
      const { id } = await begin(who, secrets[0])
      await say({ conversations, kv }, who, id, 0, secrets[1] ?? '')
      await begin(who).then((other) => conversations.rename(who, other.id, secrets[2] ?? ''))
      const bytes = await store.atRest()
      assert.ok(bytes.includes(id), 'what lies at rest was looked at')
      assert.ok(bytes.includes('apollo'))
      for (const secret of [...secrets, 'Halcyon', 'Zephyranthes', '"role"', who.name, who.id]) {
        assert.equal(bytes.includes(secret), false, 'nothing that was said lies there')
      }
      const { key: masterBytes } = master
      for (const form of [masterBytes, masterBytes.toString('base64'), masterBytes.toString('hex')]) {
        assert.equal(bytes.includes(form), false, 'nor does the master key')
      }
    })

    it('agrees on one data key when many need it first at once', async () => {
      const who = somebody()
      const replicas = await Promise.all(Array.from({ length: 10 }, (_, n) => on(store.kvs[n % 2 ? 1 : 0])))
      const seals = await Promise.all(replicas.map((replica) => replica.seal(who)))
      const sealed = seals.map((seal) => seal.seal('text', 'here'))
      for (const seal of seals) {
        for (const one of sealed) assert.equal(seal.unseal(one, 'here').toString(), 'text')
      }
      const other = await conversations.seal(somebody())
      assert.throws(() => other.unseal(sealed[0] ?? Buffer.alloc(0), 'here'), unreadable)
    })

    it('erases by destroying the key: here at once, on other replicas with the signal', async () => {
      const [who, bystander] = [somebody(), somebody()]
      const other = await on(store.kvs[1])
      const { id } = await begin(who, 'mine')
      await say({ conversations, kv }, who, id, 0, 'hello')
      const theirs = await begin(bystander, 'theirs')
      assert.equal((await other.get(who, id)).title, 'mine')
      const entry = (await kv.read(conversationKeys(who, id).messages, -1, 1))[0]
      await conversations.destroyKey(who)
      for (const replica of [conversations, other]) {
        await until(() => isGone(replica.get(who, id)))
        await assert.rejects(replica.messages(who, id, -1, 10), gone)
        assert.deepEqual(await replica.list(who, { limit: 10 }), { items: [], next: null })
        assert.equal((await replica.get(bystander, theirs.id)).title, 'theirs')
      }
      assert.ok(entry)
      const fresh = await conversations.seal(who)
      assert.throws(() => decodeMessages(fresh, conversationKeys(who, id), entry), { code: 'erased' })
      await conversations.destroyKey(who)
      const again = await begin(who, 'a new start')
      assert.deepEqual((await conversations.list(who, { limit: 10 })).items, [again])
    })

    it('erases within 30 s where the signal is lost', async () => {
      const who = somebody()
      const deaf = await on({ ...store.kvs[1], listen: () => Promise.reject(new Error('out of reach')) })
      const { id } = await begin(who, 'mine')
      assert.equal((await deaf.get(who, id)).title, 'mine')
      await conversations.destroyKey(who)
      clock.advance(29_000)
      assert.equal((await deaf.get(who, id)).title, 'mine')
      clock.advance(1001)
      await assert.rejects(deaf.get(who, id), gone)
    })

    it('erases as soon as a replica listens again that knows of having missed signals', async () => {
      const who = somebody()
      let listensAgain = () => {}
      const listen: Kv['listen'] = async (_at, _onSignal, onGap = assert.fail) => {
        listensAgain = onGap
        return () => {}
      }
      const deaf = await on({ ...store.kvs[1], listen })
      await deaf.seal(who)
      await conversations.destroyKey(who)
      listensAgain()
      const fresh = await deaf.seal(who)
      assert.equal((await conversations.seal(who)).unseal(fresh.seal('text', 'here'), 'here').toString(), 'text')
    })

    it('where the signal is lost, what its key of before does not open is looked up: the new is read, the old is gone', async () => {
      const who = somebody()
      const deaf = await on({ ...store.kvs[1], listen: () => Promise.reject(new Error('out of reach')) })
      const { id } = await begin(who, 'mine')
      await deaf.get(who, id)
      await conversations.destroyKey(who)
      const anew = await begin(who, 'a new start')
      await say({ conversations, kv }, who, anew.id, 0, 'hello again')
      assert.equal((await deaf.messages(who, anew.id, -1, 10)).items.length, 2)
      await assert.rejects(deaf.get(who, id), gone)

      await deaf.seal(who)
      await conversations.destroyKey(who)
      const third = await begin(who, 'a third')
      assert.equal((await deaf.get(who, third.id)).title, 'a third')
      assert.deepEqual((await deaf.list(who, { limit: 10 })).items, [third])
    })

    it('lists what is there, where a title of before the erasure has come late', async () => {
      const who = somebody()
      const late: Kv = {
        ...kv,
        run: async (operation, ...args) => {
          if (operation.name === 'conversation.create') await conversations.destroyKey(who)
          return kv.run(operation, ...args)
        },
      }
      const { id } = await (await on(late)).create(who, { ...beginning(), title: 'too late' })
      const fresh = await begin(who, 'mine')
      assert.deepEqual((await conversations.list(who, { limit: 10 })).items, [fresh])
      await assert.rejects(conversations.get(who, id), gone)
      assert.equal((await conversations.rename(who, id, 'renamed')).title, 'renamed')
    })

    it('tells what was erased from what a missing master key keeps shut', async () => {
      const who = somebody()
      const before = await begin(who, 'of before')
      await conversations.destroyKey(who)
      await conversations.destroyKey(who)
      const { id } = await begin(who, 'mine')
      const shut = await on(kv, [masterKey('second')])
      for (const each of [before.id, id]) await assert.rejects(shut.get(who, each), unreadable)
      await assert.rejects(conversations.get(who, before.id), gone)
      assert.equal((await conversations.get(who, id)).title, 'mine')
    })

    it('listens again when it could not at first', async () => {
      const who = somebody()
      let fail = true
      const at = store.kvs[1]
      const late = await on({
        ...at,
        listen: (...args) => (fail ? Promise.reject(new Error('out of reach')) : at.listen(...args)),
      })
      fail = false
      await late.seal(somebody())
      const { id } = await begin(who, 'mine')
      assert.equal((await late.get(who, id)).title, 'mine')
      await until(async () => {
        await conversations.destroyKey(who)
        return isGone(late.get(who, id))
      })
      assert.equal(fail, false)
    })

    it('says so when the key is lost but what it sealed is not; where it is at home elsewhere, it is not lost', async () => {
      const who = somebody()
      const { id } = await begin(who, 'mine')
      await say({ conversations, kv }, who, id, 0, 'hello')
      await kv.delete(dataKeyOf(who))
      clock.advance(30_001)
      if (store.archive) {
        assert.equal((await conversations.get(who, id)).title, 'mine')
        return
      }
      await assert.rejects(conversations.get(who, id), unreadable)
      await assert.rejects(conversations.list(who, { limit: 10 }), unreadable)
      await assert.rejects(conversations.messages(who, id, -1, 10), unreadable)
      await conversations.delete(who, id)
      assert.deepEqual((await conversations.list(who, { limit: 10 })).items, [])
    })

    it('notices what was moved within the store', async () => {
      const who = somebody()
      const [from, to] = [await begin(who, 'from'), await begin(who, 'to')]
      await say({ conversations, kv }, who, from.id, 0, 'hello')
      const [entry] = await kv.read(conversationKeys(who, from.id).messages, -1, 1)
      assert.ok(entry)
      await kv.append(conversationKeys(who, to.id).messages, 0, entry.body)
      await assert.rejects(conversations.messages(who, to.id, -1, 10), unreadable)
      await kv.append(conversationKeys(who, from.id).messages, 1, entry.body)
      assert.equal((await conversations.messages(who, from.id, -1, 1)).items.length, 2)
      await assert.rejects(conversations.messages(who, from.id, 0, 1), unreadable)
    })

    it('rotates master keys: all that are given unwrap, the first wraps what is used', async () => {
      const who = somebody()
      const { id } = await begin(who, 'mine')
      const second = masterKey('second')
      const titleOn = async (masters: MasterKey[]) => (await (await on(kv, masters)).get(who, id)).title
      await assert.rejects(titleOn([second]), unreadable)
      assert.equal(await titleOn([master, second]), 'mine')
      await assert.rejects(titleOn([second]), unreadable)
      assert.equal(await titleOn([second, master]), 'mine')
      assert.equal(await titleOn([second]), 'mine')
      await assert.rejects(titleOn([master]), unreadable)
      await assert.rejects(titleOn([{ ...second, key: randomBytes(32) }]), unreadable)
    })

    it('does not bring a destroyed key back while it is wrapped anew', async () => {
      const who = somebody()
      const { id } = await begin(who, 'mine')
      const slow: Kv = {
        ...kv,
        run: async (operation, ...args) => {
          if (operation.name === 'data-key.rewrap') {
            await conversations.destroyKey(who)
            await conversations.seal(who)
          }
          return kv.run(operation, ...args)
        },
      }
      const rotating = await on(slow, [masterKey('second'), master])
      await rotating.seal(who)
      clock.advance(30_001)
      for (const replica of [conversations, rotating]) await assert.rejects(replica.get(who, id), gone)
    })

    it('tries again for a key that could not be had', async () => {
      const who = somebody()
      let fail = true
      const shaky = await on({
        ...kv,
        run: (...args) => (fail ? Promise.reject(new Error('out of reach')) : kv.run(...args)),
      })
      await assert.rejects(shaky.seal(who), /out of reach/)
      fail = false
      assert.equal((await shaky.create(who, { ...beginning(), title: 'mine' })).title, 'mine')
    })
  })
}

async function isGone(read: Promise<unknown>): Promise<boolean> {
  return read.then(
    () => false,
    (error: unknown) => error instanceof ParleyError && error.code === gone.code,
  )
}
