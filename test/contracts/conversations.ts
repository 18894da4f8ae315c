import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Conversation, Conversations, Message } from '#conversations/conversations.ts'
import { conversationKeys } from '#conversations/keys.ts'
import type { Principal } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { manualClock } from '../support/clock.ts'
import {
  beginning,
  byActivity,
  counting,
  keepOldConversation,
  masterKey,
  openConversations,
  pagesOf,
  say,
  settings,
  somebody,
  type TestStore,
} from '../support/conversations.ts'

const notFound = { code: 'conversation_not_found' }
const invalid = { code: 'invalid_request' }

/** What conversations promise, on whichever engine keeps them. */
export function conversationsSuite(engine: string, openStore: () => Promise<TestStore>): void {
  describe(`conversations on ${engine}`, () => {
    const master = masterKey('first')
    const clock = manualClock()
    let store: TestStore
    let kv: Kv
    let conversations: Conversations

    const on = (kv: Kv) => openConversations(kv, [master], clock)
    const at = () => ({ conversations, kv })
    const begin = (who: Principal, title?: string) =>
      conversations.create(who, { ...beginning(), ...(title !== undefined && { title }) })

    beforeEach(async () => {
      store = await openStore()
      kv = store.kvs[0]
      conversations = await on(kv)
    })
    afterEach(() => store.close())

    it('gives back what was created', async () => {
      const who = somebody()
      const plain = await begin(who)
      assert.match(plain.id, /^conv_[0-9a-f]{32}$/)
      assert.deepEqual(plain, {
        ...settings,
        id: plain.id,
        title: null,
        createdAt: plain.createdAt,
        updatedAt: plain.createdAt,
        messages: 0,
        liveTurn: null,
        version: 1,
      })
      assert.deepEqual(await conversations.get(who, plain.id), plain)
      const titled = await conversations.create(who, { ...beginning({ arm: 'canary' }), title: 'Über 🦜' })
      assert.equal(titled.title, 'Über 🦜')
      assert.equal(titled.arm, 'canary')
      assert.deepEqual(await conversations.get(who, titled.id), titled)
    })

    it('refuses titles outside their limits, on creating and on renaming', async () => {
      const who = somebody()
      const { id } = await begin(who, 'x'.repeat(200))
      for (const title of ['', 'x'.repeat(201), 'a\nb', 'a\u0000']) {
        await assert.rejects(begin(who, title), { ...invalid, param: 'title' })
        await assert.rejects(conversations.rename(who, id, title), { ...invalid, param: 'title' })
      }
      assert.deepEqual(
        (await conversations.list(who, { limit: 10 })).items.map((one) => one.id),
        [id],
      )
    })

    it('takes one round trip to create and one to read, once the key is known', async () => {
      const counted = counting(kv)
      conversations = await on(counted.kv)
      const who = somebody()
      await begin(who, 'first')
      const before = counted.calls
      const { id } = await begin(who, 'second')
      assert.equal(counted.calls, before + 1)
      assert.equal((await conversations.get(who, id)).title, 'second')
      assert.equal(counted.calls, before + 2)
    })

    it('knows from memory what never changes, once it has created or looked', async () => {
      const counted = counting(kv)
      const elsewhere = await on(counted.kv)
      const who = somebody()
      const { id } = await begin(who)
      assert.deepEqual(await elsewhere.pins(who, id), { ...settings, cohort: 'r1.0' })
      assert.equal(counted.calls, 1)
      assert.deepEqual(await elsewhere.pins(who, id), { ...settings, cohort: 'r1.0' })
      const created = await elsewhere.create(who, beginning({ arm: 'canary' }))
      assert.deepEqual(await elsewhere.pins(who, created.id), { ...settings, arm: 'canary', cohort: 'r1.0' })
      assert.equal(counted.calls, 2)
      await assert.rejects(elsewhere.pins(somebody(), id), notFound)
      await assert.rejects(elsewhere.pins(who, newId('conv')), notFound)
    })

    it('asks what it is pinned to once its id is known', async () => {
      const who = somebody()
      const asked: string[] = []
      const { pin } = beginning({ config: 'v002', cohort: 'r2.1' })
      const ask = (id: string) => {
        asked.push(id)
        return pin()
      }
      const { id, config } = await conversations.create(who, { specialist: 'apollo', pin: ask })
      assert.deepEqual([asked, config], [[id], 'v002'])
      assert.equal((await (await on(store.kvs[1])).pins(who, id)).cohort, 'r2.1')
    })

    it('reads what was kept before there were cohorts', async () => {
      const who = somebody()
      const id = newId('conv')
      await kv.run(keepOldConversation, [conversationKeys(who, id).record], [])
      assert.deepEqual(await conversations.pins(who, id), { ...settings, cohort: '' })
      assert.equal((await conversations.get(who, id)).liveTurn, null)
    })

    it('finds nothing that belongs to somebody else', async () => {
      const [owner, other] = [somebody(), somebody()]
      const { id } = await begin(owner, 'mine')
      await say(at(), owner, id, 0, 'hello')
      for (const stranger of [other, { ...owner, tenant: 'elsewhere' }]) {
        await assert.rejects(conversations.get(stranger, id), notFound)
        await assert.rejects(conversations.rename(stranger, id, 'theirs'), notFound)
        await assert.rejects(conversations.messages(stranger, id, -1, 10), notFound)
        await assert.rejects(conversations.delete(stranger, id), notFound)
        assert.deepEqual(await conversations.list(stranger, { limit: 10 }), { items: [], next: null })
      }
      assert.equal((await conversations.get(owner, id)).title, 'mine')
      assert.equal((await conversations.messages(owner, id, -1, 10)).items.length, 2)
    })

    it('finds nothing under what is no id of a conversation', async () => {
      const who = somebody()
      const { id } = await begin(who, 'mine')
      const ids = [
        '',
        'x',
        'data-key',
        'conversations',
        newId('conv'),
        newId('turn'),
        `${id}:messages`,
        id.toUpperCase(),
      ]
      for (const wrong of [...ids, `${id}\n`, 'ü', '{x}', 'x'.repeat(2000)]) {
        await assert.rejects(conversations.get(who, wrong), notFound)
        await assert.rejects(conversations.rename(who, wrong, 'other'), notFound)
        await assert.rejects(conversations.messages(who, wrong, -1, 10), notFound)
        await assert.rejects(conversations.delete(who, wrong), notFound)
      }
      assert.equal((await conversations.get(who, id)).title, 'mine')
    })

    it('renames, if nobody else did', async () => {
      const who = somebody()
      const created = await begin(who)
      const renamed = await conversations.rename(who, created.id, 'second', 1)
      assert.deepEqual({ ...renamed, updatedAt: 0 }, { ...created, title: 'second', version: 2, updatedAt: 0 })
      assert.deepEqual(await conversations.get(who, created.id), renamed)
      for (const stale of [0, 1, 3]) {
        await assert.rejects(conversations.rename(who, created.id, 'third', stale), { code: 'version_conflict' })
      }
      assert.equal((await conversations.rename(who, created.id, 'third')).version, 3)
      assert.equal((await conversations.get(who, created.id)).title, 'third')
    })

    it('lets one of many win who rename the same version, and all who do not care', async () => {
      const who = somebody()
      const { id } = await begin(who)
      const replicas = await Promise.all(store.kvs.map((at) => on(at)))
      const rename = (ifVersion?: number) =>
        Promise.allSettled(
          Array.from({ length: 20 }, (_, n) => replicas[n % 2]?.rename(who, id, `title ${n}`, ifVersion)),
        )
      const won = (await rename(1)).filter(({ status }) => status === 'fulfilled')
      assert.equal(won.length, 1)
      const [winner] = won
      assert.deepEqual(winner?.status === 'fulfilled' && winner.value, await conversations.get(who, id))
      const all = await rename()
      const versions = all.map((one) => (one.status === 'fulfilled' ? one.value?.version : undefined))
      assert.deepEqual(
        versions.sort((a, b) => Number(a) - Number(b)),
        Array.from({ length: 20 }, (_, n) => n + 3),
      )
      assert.equal((await conversations.get(who, id)).version, 22)
    })

    it('deletes a conversation with its messages, once', async () => {
      const who = somebody()
      const [kept, gone] = [await begin(who, 'kept'), await begin(who, 'gone')]
      await say(at(), who, gone.id, 0, 'hello')
      await conversations.delete(who, gone.id)
      assert.deepEqual(await kv.read(conversationKeys(who, gone.id).messages, -1, 10), [])
      for (const attempt of [
        conversations.get(who, gone.id),
        conversations.messages(who, gone.id, -1, 10),
        conversations.rename(who, gone.id, 'back'),
        conversations.delete(who, gone.id),
      ]) {
        await assert.rejects(attempt, notFound)
      }
      assert.deepEqual((await conversations.list(who, { limit: 10 })).items, [kept])
    })

    it('pages messages by turn', async () => {
      const who = somebody()
      const { id } = await begin(who)
      assert.deepEqual(await conversations.messages(who, id, -1, 10), { items: [], next: null })
      const said: Message[] = []
      for (let position = 0; position < 5; position += 1)
        said.push(...(await say(at(), who, id, position, `ä ${position}`)))
      assert.deepEqual(await conversations.messages(who, id, -1, 5), { items: said, next: null })
      assert.deepEqual(await conversations.messages(who, id, -1, 4), { items: said.slice(0, 8), next: 3 })
      assert.deepEqual(await conversations.messages(who, id, 3, 4), { items: said.slice(8), next: null })
      assert.deepEqual(await conversations.messages(who, id, 1, 2), { items: said.slice(4, 8), next: 3 })
      for (const after of [4, 5, Number.MAX_SAFE_INTEGER]) {
        assert.deepEqual(await conversations.messages(who, id, after, 4), { items: [], next: null })
      }
    })

    it('reads up to 1000 turns at once', async () => {
      const who = somebody()
      const { id } = await begin(who)
      await Promise.all(Array.from({ length: 1001 }, (_, position) => say(at(), who, id, position, `${position}`)))
      const page = await conversations.messages(who, id, -1, 1000)
      assert.equal(page.items.length, 2000)
      assert.equal(page.items.at(-1)?.content, 're: 999')
      assert.equal(page.next, 999)
      assert.equal((await conversations.messages(who, id, 0, 1000)).next, null)
      for (const limit of [0, -1, 1001, 1.5, Number.NaN]) {
        await assert.rejects(conversations.messages(who, id, -1, limit), { ...invalid, param: 'limit' })
      }
      for (const after of [-2, 0.5, Number.NaN, 2 ** 60]) {
        await assert.rejects(conversations.messages(who, id, after, 10), { ...invalid, param: 'after' })
      }
    })

    it('ends a page of messages early when they are large', async () => {
      const who = somebody()
      const { id } = await begin(who)
      const large = 'x'.repeat(500_000)
      for (let position = 0; position < 6; position += 1) await say(at(), who, id, position, large)
      const sizes: number[] = []
      for (let after: number | null = -1; after !== null; ) {
        const page: Awaited<ReturnType<Conversations['messages']>> = await conversations.messages(who, id, after, 100)
        sizes.push(page.items.length)
        after = page.next
      }
      assert.deepEqual(sizes, [10, 2])
    })

    it('lists by activity, page by page, each once', async () => {
      const who = somebody()
      const made = await Promise.all(Array.from({ length: 25 }, (_, n) => begin(who, `number ${n}`)))
      const renamed = await conversations.rename(who, made[7]?.id ?? '', 'fresh')
      const expected = byActivity([renamed, ...made.filter(({ id }) => id !== renamed.id)])
      for (const limit of [1, 7, 24, 25, 26, 100]) {
        const pages = await pagesOf(conversations, who, limit)
        assert.deepEqual(pages.flat(), expected)
        assert.deepEqual(
          pages.map((page) => page.length),
          sizesOf(25, limit),
        )
      }
    })

    it('refuses pages outside their limits and cursors that no page gave', async () => {
      const who = somebody()
      for (const limit of [0, 101, -1, 1.5, Number.NaN]) {
        await assert.rejects(conversations.list(who, { limit }), { ...invalid, param: 'limit' })
      }
      for (const cursor of ['', 'x', Buffer.from('1/2').toString('base64url')]) {
        await assert.rejects(conversations.list(who, { limit: 10, cursor }), { ...invalid, param: 'cursor' })
      }
    })

    it('shows each conversation at most once, and all that stay as they are, while others change', async () => {
      const who = somebody()
      const made = await Promise.all(Array.from({ length: 40 }, () => begin(who)))
      const [still, busy] = [made.filter((_, n) => n % 2 === 0), made.filter((_, n) => n % 2 === 1)]
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const [page] = await Promise.all([
          conversations.list(who, { limit: 7, ...(cursor !== undefined && { cursor }) }),
          ...busy
            .slice(seen.length % 10, (seen.length % 10) + 4)
            .map(({ id }) => conversations.rename(who, id, 'news')),
          begin(who),
        ])
        seen.push(...page.items.map(({ id }) => id))
        cursor = page.next ?? undefined
      } while (cursor !== undefined)
      assert.equal(new Set(seen).size, seen.length)
      for (const { id } of still) assert.ok(seen.includes(id))
    })

    it('takes what has expired out of the list, and fills the page nevertheless', async () => {
      const who = somebody()
      const made = byActivity(await Promise.all(Array.from({ length: 12 }, () => begin(who))))
      const expired = made.filter((_, n) => n < 5 || n === 8)
      for (const { id } of expired) await kv.delete(conversationKeys(who, id).record)
      const left = made.filter((one) => !expired.includes(one))
      assert.deepEqual(await pagesOf(conversations, who, 4), [left.slice(0, 4), left.slice(4)])
      const counted = counting(kv)
      await (await on(counted.kv)).list(who, { limit: 6 })
      assert.equal(counted.calls, 2)
    })

    it('keeps 10,000 conversations for one principal and no more', async () => {
      const who = somebody()
      const made: Conversation[] = []
      for (let n = 0; n < 10; n += 1) made.push(...(await Promise.all(Array.from({ length: 1000 }, () => begin(who)))))
      await assert.rejects(begin(who), { code: 'too_many_conversations', status: 409 })
      await begin(somebody())
      // Room is looked for among the oldest.
      const [first, second] = made.toSorted((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
      await conversations.delete(who, first?.id ?? '')
      await begin(who)
      await assert.rejects(begin(who), { code: 'too_many_conversations' })
      await kv.delete(conversationKeys(who, second?.id ?? '').record)
      await begin(who)
      await assert.rejects(begin(who), { code: 'too_many_conversations' })
    })
  })
}

function sizesOf(count: number, limit: number): number[] {
  return Array.from({ length: Math.ceil(count / limit) }, (_, page) => Math.min(limit, count - page * limit))
}
