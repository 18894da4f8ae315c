import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { createArchive } from '#conversations/archive/create.ts'
import { archiveMigrations } from '#conversations/archive/turns-migration.ts'
import type { Archive, FinishedTurn } from '#conversations/archive.ts'
import type { Conversations } from '#conversations/conversations.ts'
import { createConversations } from '#conversations/create.ts'
import { dataKeysMigration } from '#conversations/data-keys/migration.ts'
import { conversationKeys } from '#conversations/keys.ts'
import { encodeMessages } from '#conversations/message-codec.ts'
import { sealTitle, unsealTitle } from '#conversations/title.ts'
import type { Principal } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import { createLog } from '#log.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { manualClock } from '../support/clock.ts'
import { somebody } from '../support/conversations.ts'
import type { Database } from './sql/under-test.ts'

const erased = { code: 'erased' }

/** What the archive of finished turns promises, on whichever database keeps it. */
export function archiveContract(engine: string, openDatabase: () => Promise<Database>): void {
  describe(`the archive on ${engine}`, () => {
    const masterKeys = { source: 'environment' as const, keys: [{ id: 'test', key: randomBytes(32) }] }
    const clock = manualClock()
    let database: Database
    let sql: Sql
    let kv: Kv
    let archive: Archive
    let conversations: Conversations

    const emptyStore = async () => {
      await kv?.close()
      kv = createKv(new SqliteEngine({ path: ':memory:', clock, log: createLog('silent') }))
      archive = await createArchive({ sql, masterKeys })
      conversations = await createConversations({ kv, masterKeys, idleMs: 1e9, clock, archive })
    }
    before(async () => {
      database = await openDatabase()
      sql = await database.open([...archiveMigrations, dataKeysMigration])
      await emptyStore()
    })
    after(async () => {
      await kv.close()
      await sql.close()
      await database[Symbol.asyncDispose]()
    })

    const pin = { specialist: 'apollo', config: 'v1', arm: 'stable', cohort: '' } as const
    const served = { ...pin, startedAt: 1000 }

    async function finished(owner: Principal, said: string, given: Partial<FinishedTurn> = {}): Promise<FinishedTurn> {
      const seal = await conversations.seal(owner)
      return {
        id: newId('turn'),
        owner,
        entry: null,
        fence: 1,
        status: 'completed',
        endedAt: clock.now(),
        input: seal.seal(`${said}?`, 'input'),
        outcome: seal.seal(`${said}!`, 'end'),
        ...given,
      }
    }
    async function keep(owner: Principal, said: string, given: Partial<FinishedTurn> = {}): Promise<string> {
      const turn = await finished(owner, said, given)
      await archive.keep(turn, await conversations.seal(owner))
      return turn.id
    }
    async function entry(owner: Principal, conversation: string, position: number, content: string) {
      const seal = await conversations.seal(owner)
      const message = { id: newId('msg'), turn: newId('turn'), role: 'user' as const, content, at: 1 }
      const keys = conversationKeys(owner, conversation)
      const messages = encodeMessages(seal, keys, position, [message])
      const title = position === 0 ? sealTitle(seal, keys, content) : null
      return { ...served, conversation, position, messages, count: 1, title }
    }
    test('what ended long ago goes, but for conversations that went on', async () => {
      const owner = somebody()
      const old = { endedAt: 1000 }
      const alone = await keep(owner, 'alone', old)
      const ended = newId('conv')
      const gone = await keep(owner, 'ended', { ...old, entry: await entry(owner, ended, 0, 'ended') })
      const active = newId('conv')
      const kept = await keep(owner, 'begun', { ...old, entry: await entry(owner, active, 0, 'begun') })
      await keep(owner, 'went on', { endedAt: 5000, entry: await entry(owner, active, 1, 'went on') })
      assert.equal(await archive.prune(1000), 0)
      assert.equal(await archive.prune(5000), 2)
      assert.equal(await archive.prune(5000), 0)
      assert.deepEqual(await Promise.all([alone, gone, kept].map((turn) => saidIn(owner, turn))), [
        undefined,
        undefined,
        'begun? begun!',
      ])
    })

    async function saidIn(owner: Principal, turn: string): Promise<string | undefined> {
      const found = await archive.turn(owner, turn)
      return found && `${found.seal.unseal(found.input, 'input')} ${found.seal.unseal(found.outcome, 'end')}`
    }
    async function page(owner: Principal, conversation: string, after: number, limit: number) {
      const { items, next } = await conversations.messages(owner, conversation, after, limit)
      return [items.map(({ content }) => content).join(' '), next]
    }

    test('what was kept is given back, though the store has lost everything', async () => {
      const who = somebody()
      const turn = await keep(who, 'hello')
      await emptyStore()
      assert.equal(await saidIn(who, turn), 'hello? hello!')
      const next = await keep(who, 'again')
      assert.deepEqual([await saidIn(who, turn), await saidIn(who, next)], ['hello? hello!', 'again? again!'])
      assert.equal(await archive.turn(who, newId('turn')), undefined)
    })

    test('a higher or the same fence takes the place of what was kept, a lower one does not', async () => {
      const who = somebody()
      const id = await keep(who, 'second', { fence: 2 })
      await keep(who, 'first', { id, fence: 1 })
      assert.equal(await saidIn(who, id), 'second? second!')
      await keep(who, 'second again', { id, fence: 2 })
      assert.equal(await saidIn(who, id), 'second again? second again!')
      await keep(who, 'third', { id, fence: 3 })
      assert.equal(await saidIn(who, id), 'third? third!')
    })

    test('what is thought of a turn is its owner’s, stands through what is kept again, and goes with the turn', async () => {
      const who = somebody()
      const seal = await conversations.seal(who)
      const judged = (text: string) => seal.seal(text, 'feedback')
      const read = async (id: string) => {
        const found = await archive.turn(who, id)
        return found?.feedback && found.seal.unseal(found.feedback, 'feedback').toString()
      }
      const id = await keep(who, 'hello')
      assert.equal(await read(id), undefined)
      const found = await archive.judge(who, id, judged('bad'), seal)
      assert.equal(found?.seal.unseal(found.input, 'input').toString(), 'hello?')
      await archive.judge(who, id, judged('good'), seal)
      assert.equal(await read(id), 'good')
      await keep(who, 'hello', { id })
      assert.equal(await read(id), 'good')
      await keep(who, 'hello', { id, feedback: judged('fair') })
      assert.equal(await read(id), 'fair')
      const other = somebody()
      assert.equal(await archive.judge(other, id, judged('theirs'), await conversations.seal(other)), undefined)
      assert.equal(await archive.judge(who, newId('turn'), judged('none'), seal), undefined)
      assert.equal(await read(id), 'fair')
      await conversations.destroyKey(who)
      const fresh = await conversations.seal(who)
      assert.equal(await archive.judge(who, id, fresh.seal('late', 'feedback'), fresh), undefined)
    })

    test('a producer takes back what it kept, and not what a later one has', async () => {
      const who = somebody()
      const id = await keep(who, 'second', { fence: 2 })
      await archive.withdraw(who, id, 1)
      assert.equal(await saidIn(who, id), 'second? second!')
      await archive.withdraw(who, id, 2)
      assert.equal(await saidIn(who, id), undefined)
    })

    test('nobody else sees a turn, changes it or forgets it, in the same tenant or another', async () => {
      const who = somebody()
      const conversation = newId('conv')
      const id = await keep(who, 'mine', { entry: await entry(who, conversation, 0, 'mine') })
      for (const other of [somebody(), { ...who, tenant: 'elsewhere' }]) {
        await archive.withdraw(other, id, 1)
        await keep(other, 'theirs', { id, fence: 9 })
        assert.equal(await archive.messages(other, conversation, -1, 10), undefined)
        assert.equal(await archive.forget(other, conversation), 0)
        await archive.keys.destroy(other, undefined)
      }
      assert.equal(await saidIn(who, id), 'mine? mine!')
      assert.deepEqual(await page(who, conversation, -1, 10), ['mine', null])
    })

    test('the messages of a conversation come in order and in pages', async () => {
      const who = somebody()
      const conversation = newId('conv')
      for (const [position, content] of [
        [2, 'c'],
        [0, 'a'],
        [1, 'b'],
      ] as const) {
        await keep(who, content, { entry: await entry(who, conversation, position, content) })
      }
      await emptyStore()
      assert.deepEqual(await page(who, conversation, -1, 3), ['a b c', null])
      assert.deepEqual(await page(who, conversation, -1, 2), ['a b', 1])
      assert.deepEqual(await page(who, conversation, 1, 2), ['c', null])
      assert.deepEqual(await page(who, conversation, 2, 2), ['', null])
      await assert.rejects(page(who, newId('conv'), -1, 2), { code: 'conversation_not_found' })
    })

    test('a page ends with the entry that fills it', async () => {
      const who = somebody()
      const conversation = newId('conv')
      const large = async (position: number, bytes: number) => {
        const messages = (await entry(who, conversation, position, 'x'.repeat(bytes))).messages
        // Exactly so many bytes, sealing included.
        const exactly = Buffer.concat([messages, Buffer.alloc(bytes)]).subarray(0, bytes)
        return { ...served, conversation, position, messages: exactly, count: 1, title: null }
      }
      const half = 2 * 1024 * 1024
      for (const [position, bytes] of [half, half - 1, 1, 1].entries()) {
        await keep(who, 'large', { entry: await large(position, bytes) })
      }
      const positions = async (after: number) => {
        const found = await archive.messages(who, conversation, after, 10)
        return [found?.entries.map(({ position }) => position), found?.next]
      }
      // One byte short after the second, full with the third.
      assert.deepEqual(await positions(-1), [[0, 1, 2], 2])
      assert.deepEqual(await positions(2), [[3], null])
    })

    test('what it takes to have conversations back is told, newest first, and of nobody else', async () => {
      const who = somebody()
      const [one, two] = [newId('conv'), newId('conv')]
      await keep(who, 'a', { entry: await entry(who, one, 0, 'first'), endedAt: 5000 })
      const later = { ...(await entry(who, one, 1, 'second')), specialist: 'athena', config: 'v2', startedAt: 6000 }
      await keep(who, 'b', { entry: later, endedAt: 7000 })
      await keep(who, 'c', { entry: await entry(who, two, 0, 'other'), endedAt: 8000 })
      await keep(who, 'alone')
      const seal = await conversations.seal(who)
      const found = await archive.conversations(who, seal, undefined)
      assert.deepEqual(
        found.map(({ title, ...rest }) => rest),
        [
          { id: two, ...pin, createdAt: 1000, updatedAt: 8000, messages: 1, version: 2 },
          {
            id: one,
            ...pin,
            specialist: 'athena',
            config: 'v2',
            createdAt: 1000,
            updatedAt: 7000,
            messages: 2,
            version: 3,
          },
        ],
      )
      const titles = found.map(({ id, title }) => title && unsealTitle(seal, conversationKeys(who, id), title))
      assert.deepEqual(titles, ['other', 'first'])
      assert.deepEqual(
        (await archive.conversations(who, seal, [one])).map(({ id }) => id),
        [one],
      )
      assert.deepEqual(await archive.conversations(who, seal, []), [])
      const other = somebody()
      assert.deepEqual(await archive.conversations(other, await conversations.seal(other), [one]), [])
      await conversations.destroyKey(who)
      assert.deepEqual(await archive.conversations(who, await conversations.seal(who), undefined), [])
    })

    test('a conversation is forgotten with all its turns', async () => {
      const who = somebody()
      const [conversation, other] = [newId('conv'), newId('conv')]
      const gone = await keep(who, 'gone', { entry: await entry(who, conversation, 0, 'gone') })
      const stays = await keep(who, 'stays', { entry: await entry(who, other, 0, 'stays') })
      assert.equal(await archive.forget(who, conversation), 1)
      assert.equal(await archive.forget(who, conversation), 0)
      assert.deepEqual([await saidIn(who, gone), await saidIn(who, stays)], [undefined, 'stays? stays!'])
    })

    test('with the key of its owner everything is erased, also what was under way and the keys of before', async () => {
      const who = somebody()
      const early = await keep(who, 'early')
      await emptyStore()
      const seal = await conversations.seal(who)
      const late = await finished(who, 'late')
      const before = await keep(who, 'before')
      await conversations.destroyKey(who)
      await archive.keep(late, seal)
      for (const turn of [early, before, late.id]) await assert.rejects(archive.turn(who, turn), erased)
      assert.equal(await saidIn(who, await keep(who, 'fresh')), 'fresh? fresh!')
    })
  })
}
