import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { createArchive } from '#conversations/archive/create.ts'
import { archiveMigrations } from '#conversations/archive/turns-migration.ts'
import type { Archive } from '#conversations/archive.ts'
import { dataKeysMigration } from '#conversations/data-keys/migration.ts'
import { conversationKeys } from '#conversations/keys.ts'
import { ParleyError } from '#errors.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openSql } from '#platform/sql/open.ts'
import type { Sql } from '#platform/sql/sql.ts'
import {
  type BegunTurn,
  type ChatAtHand,
  type ChatAtHandOptions,
  chatAtHand,
  LEASE_MS,
  somebody,
} from '../../test/support/chat-at-hand.ts'
import { type PostgresServer, sharedPostgres } from '../../test/support/postgres.ts'
import { dueDeadlines } from './store/deadlines.ts'
import { deadlineShards, placeOf, turnKeys } from './store/turn-keys.ts'
import type { TurnEvent } from './turn-events.ts'

let server: PostgresServer
let sql: Sql

before(async () => {
  server = await sharedPostgres()
  const env = { engine: 'postgres', url: await server.createDatabase(), auth: 'url', poolSize: 4 } as const
  const tokens = { token: async () => ({ token: '', expiresAt: 0 }) }
  sql = await openSql({
    env,
    migrations: [...archiveMigrations, dataKeysMigration],
    clock: systemClock,
    log: createLog('silent'),
    tokens,
  })
})

// Each chat at hand has a master key of its own.
beforeEach(() => sql.query('system', 'DELETE FROM data_keys'))

after(async () => {
  await sql.close()
  await server[Symbol.asyncDispose]()
})

/** The way to the archive: `silent` has what is kept wait. */
interface Way {
  state: 'open' | 'away' | 'silent'
  open(): void
  kept: number
}

function way(): Way {
  return { state: 'open', kept: 0, open() {} }
}

async function withArchive(way: Way, options: ChatAtHandOptions): Promise<ChatAtHand & { archive: Archive }> {
  const opened = Promise.withResolvers<void>()
  way.open = () => {
    way.state = 'open'
    opened.resolve()
  }
  let archive: Archive | undefined
  const hand = await chatAtHand({
    ...options,
    archive: async (_kv, masterKeys) => {
      const real = await createArchive({ sql, masterKeys })
      archive = {
        ...real,
        keep: async (...turn) => {
          if (way.state === 'away') throw new ParleyError('database_unavailable')
          if (way.state === 'silent') await opened.promise
          await real.keep(...turn)
          way.kept += 1
        },
        judge: async (...judgement) => {
          if (way.state === 'away') throw new ParleyError('database_unavailable')
          return real.judge(...judgement)
        },
      }
      return archive
    },
  })
  assert.ok(archive)
  return Object.assign(hand, { archive })
}

/** For what the database does, which no clock of ours drives. */
async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    assert.ok(tries < 10_000, 'it comes about')
    await setTimeout(5)
  }
}

const isOver = ({ events }: BegunTurn) => /completed|failed|cancelled/.test(events.at(-1)?.type ?? '')

async function archivedText({ archive }: { archive: Archive }, turn: string): Promise<string | undefined> {
  const found = await archive.turn(somebody, turn)
  const place = placeOf(turnKeys(somebody, turn).turn, 'end')
  return found && JSON.parse(found.seal.unseal(found.outcome, place).toString()).text
}

async function loseLiveState({ store }: ChatAtHand, turn: string, conversation: string): Promise<void> {
  const { record, messages, index } = conversationKeys(somebody, conversation)
  const { turn: at, log } = turnKeys(somebody, turn)
  for (const key of [at, log, record, messages, index]) await store.delete(key)
}

async function readAll({ chat }: ChatAtHand, turn: string, from: number): Promise<TurnEvent[]> {
  const batches = await Array.fromAsync(chat.read(somebody, turn, from, new AbortController().signal))
  return batches.flat()
}

test('a turn is in the archive before anyone hears of its end', async () => {
  const archive = way()
  await using hand = await withArchive(archive, { say: [{ text: 'One.' }] })
  archive.state = 'silent'
  const begun = await hand.begin('hello')
  await hand.pass(1000)
  assert.equal(isOver(begun), false)
  assert.equal((await hand.chat.get(somebody, begun.turn)).status, 'running')
  archive.open()
  await begun.ended
  assert.equal(archive.kept, 1)
  assert.equal(await archivedText(hand, begun.turn), 'One.')
})

test('with the archive silent a turn ends after 2 s, and the sweeper archives it once that is back', async () => {
  const archive = way()
  await using hand = await withArchive(archive, { say: [{ text: 'One.' }] })
  const conversation = await hand.converse()
  archive.state = 'silent'
  const begun = await hand.say(conversation, 'hello')
  await hand.pass(1999)
  assert.equal(isOver(begun), false)
  await hand.pass(1)
  await begun.ended
  assert.equal(begun.events.at(-1)?.type, 'turn.completed')
  archive.state = 'away'
  await hand.pass(2 * LEASE_MS)
  assert.equal(archive.kept, 0)
  // It waits apart from the turns that are to be taken over.
  hand.clock.advance(2 * LEASE_MS)
  const due = await Promise.all(deadlineShards.map((shard) => hand.store.run(dueDeadlines, [shard], [100])))
  assert.deepEqual(due.flat(), [])
  archive.state = 'open'
  await hand.pass(2 * LEASE_MS)
  await until(() => archive.kept === 1)
  // It is looked at no more.
  await hand.pass(4 * LEASE_MS)
  assert.equal(archive.kept, 1)
  await loseLiveState(hand, begun.turn, conversation)
  const { items } = await hand.conversations.messages(somebody, conversation, -1, 10)
  assert.deepEqual(
    items.map(({ content }) => content),
    ['hello', 'One.'],
  )
  assert.equal((await hand.chat.get(somebody, begun.turn)).text, 'One.')
})

test('with the archive away a turn ends at once', async () => {
  const archive = way()
  await using hand = await withArchive(archive, { say: [{ text: 'One.' }] })
  archive.state = 'away'
  const begun = await hand.begin('hello')
  await begun.ended
  assert.equal(begun.events.at(-1)?.type, 'turn.completed')
  archive.state = 'open'
  await hand.pass(2 * LEASE_MS)
  await until(() => archive.kept === 1)
  assert.equal(await archivedText(hand, begun.turn), 'One.')
})

test('archived and then lost before it was committed: what the successor ends with takes its place', async () => {
  const archive = way()
  await using lost = await withArchive(archive, { say: [{ text: 'One.' }] })
  archive.state = 'silent'
  const begun = await lost.begin('hello')
  lost.reach('away')
  archive.open()
  await until(() => archive.kept === 1)
  assert.equal(await archivedText(lost, begun.turn), 'One.')
  await using heir = await chatAtHand({ say: [{ text: 'Two.' }], sharing: lost })
  await lost.pass(2 * LEASE_MS)
  await until(async () => (await heir.chat.get(somebody, begun.turn)).status !== 'running')
  const { text } = await heir.chat.get(somebody, begun.turn)
  assert.match(text, /Two\.$/)
  // By the clock that is turned by hand, the database may have taken longer than its end waits.
  await until(async () => (await archivedText(lost, begun.turn)) === text)
  lost.reach('reachable')
  await lost.pass(LEASE_MS)
  await begun.ended
  assert.equal(await archivedText(lost, begun.turn), text)
})

test('what the live state has lost is read from the archive, by its owner alone', async () => {
  await using hand = await withArchive(way(), { say: [{ text: 'One.' }] })
  const conversation = await hand.converse()
  const begun = await hand.say(conversation, 'hello')
  await begun.ended
  const view = await hand.chat.get(somebody, begun.turn)
  const messages = await hand.conversations.messages(somebody, conversation, -1, 10)
  await loseLiveState(hand, begun.turn, conversation)
  assert.deepEqual(await hand.chat.get(somebody, begun.turn), view)
  assert.deepEqual(await hand.conversations.messages(somebody, conversation, -1, 10), messages)
  const last = view.position
  const shown = async (from: number) =>
    (await readAll(hand, begun.turn, from)).map(({ type, position }) => [type, position])
  assert.deepEqual(await shown(-1), [
    ['snapshot', last - 1],
    ['turn.completed', last],
  ])
  assert.deepEqual(await shown(last - 1), [['turn.completed', last]])
  assert.deepEqual(await shown(last), [])
  await assert.rejects(readAll(hand, begun.turn, last + 1), { code: 'bad_position' })
  await assert.rejects(readAll(hand, begun.turn, -2), { code: 'bad_position' })
  for (const other of [
    { ...somebody, id: 'else' },
    { ...somebody, tenant: 'elsewhere' },
  ]) {
    await assert.rejects(hand.chat.get(other, begun.turn), { code: 'turn_not_found' })
    const read = Array.fromAsync(hand.chat.read(other, begun.turn, -1, new AbortController().signal))
    await assert.rejects(read, { code: 'turn_not_found' })
    await assert.rejects(hand.conversations.messages(other, conversation, -1, 10), { code: 'conversation_not_found' })
    await assert.rejects(hand.chat.deleteConversation(other, conversation), { code: 'conversation_not_found' })
  }
})

test('a first turn looks for no earlier messages; where they are lost, the next one has them back', async (t) => {
  await using hand = await withArchive(way(), { say: [{ text: 'One.' }, { text: 'Two.' }] })
  const recovering = t.mock.method(hand.conversations, 'recoverMessages')
  const conversation = await hand.converse()
  await (await hand.say(conversation, 'hello')).ended
  assert.equal(recovering.mock.callCount(), 0)
  await hand.store.delete(conversationKeys(somebody, conversation).messages)
  await (await hand.say(conversation, 'and then?')).ended
  assert.equal(recovering.mock.callCount(), 1)
  const said = hand.asked[1]?.map(({ content }) => content)
  assert.deepEqual(said?.slice(-3), ['hello', 'One.', 'and then?'])
})

test('what a reader thought of a turn outlives the live state, where it can still be thought better of', async () => {
  await using hand = await withArchive(way(), { say: [{ text: 'One.' }] })
  const conversation = await hand.converse()
  const begun = await hand.say(conversation, 'hello')
  await begun.ended
  const { chat } = hand
  const feedback = { rating: 'down', comment: 'Wrong figure.' } as const
  await chat.feedback(somebody, begun.turn, feedback)
  await loseLiveState(hand, begun.turn, conversation)
  assert.deepEqual((await chat.get(somebody, begun.turn)).feedback, feedback)
  await chat.feedback(somebody, begun.turn, { rating: 'up' })
  assert.deepEqual((await chat.get(somebody, begun.turn)).feedback, { rating: 'up' })
  const told = hand.told.flatMap(({ name, fact }) => (name === 'feedback.given' ? [[fact.unit, fact.rating]] : []))
  assert.deepEqual(told, [
    [conversation, 'down'],
    [conversation, 'up'],
  ])
  await assert.rejects(chat.feedback({ ...somebody, id: 'else' }, begun.turn, feedback), { code: 'turn_not_found' })
  await chat.deleteConversation(somebody, conversation)
  await assert.rejects(chat.feedback(somebody, begun.turn, feedback), { code: 'turn_not_found' })
})

for (const without of ['the turn', 'what was thought of it'] as const) {
  test(`where the archive was away for ${without}, it gets both later`, async () => {
    const archive = way()
    await using hand = await withArchive(archive, { say: [{ text: 'One.' }] })
    if (without === 'the turn') archive.state = 'away'
    const begun = await hand.begin('hello')
    await begun.ended
    archive.state = 'away'
    await hand.chat.feedback(somebody, begun.turn, { rating: 'up' })
    const found = () => hand.archive.turn(somebody, begun.turn)
    assert.equal((await found())?.feedback, undefined)
    archive.state = 'open'
    await hand.pass(2 * LEASE_MS)
    await until(async () => (await found())?.feedback !== undefined)
    assert.equal(await archivedText(hand, begun.turn), 'One.')
    // What was under way in the database meanwhile may keep it once more; then nobody looks at it any more.
    await until(async () => {
      const { kept } = archive
      await hand.pass(4 * LEASE_MS)
      await setTimeout(20)
      return archive.kept === kept
    })
    assert.ok(archive.kept <= 3, `it was kept ${archive.kept} times`)
  })
}

test('a turn that begins while its conversation is deleted goes with it, and does not bring it back', async (t) => {
  await using hand = await withArchive(way(), { say: [{ text: 'One.' }, { text: 'Two.' }] })
  const conversation = await hand.converse()
  await (await hand.say(conversation, 'hello')).ended
  const begun: string[] = []
  const { forget } = hand.archive
  t.mock.method(hand.archive, 'forget', async (...asked: Parameters<typeof forget>) => {
    const forgotten = await forget(...asked)
    if (begun.length > 0) return forgotten
    // One that ends before the conversation is gone, and one that does not.
    const ended = await hand.say(conversation, 'and?')
    await ended.ended
    const cut = await hand.say(conversation, 'and then?')
    cut.ended.catch(() => {})
    begun.push(ended.turn, cut.turn)
    return forgotten
  })
  await hand.chat.deleteConversation(somebody, conversation)
  await until(async () => hand.chat.live === 0)
  assert.equal(begun.length, 2)
  for (const turn of begun) {
    await assert.rejects(hand.chat.get(somebody, turn), { code: 'turn_not_found' })
    assert.equal(await hand.archive.turn(somebody, turn), undefined)
  }
  await assert.rejects(hand.conversations.get(somebody, conversation), { code: 'conversation_not_found' })
})

for (const isLost of [false, true]) {
  test(`a conversation is deleted in the archive too, ${isLost ? 'where that is all there is' : 'with the rest'}`, async () => {
    await using hand = await withArchive(way(), { say: [{ text: 'One.' }] })
    const conversation = await hand.converse()
    const begun = await hand.say(conversation, 'hello')
    await begun.ended
    if (isLost) await loseLiveState(hand, begun.turn, conversation)
    await hand.chat.deleteConversation(somebody, conversation)
    assert.equal(await hand.archive.turn(somebody, begun.turn), undefined)
    await assert.rejects(hand.chat.get(somebody, begun.turn), { code: 'turn_not_found' })
    const messages = hand.conversations.messages(somebody, conversation, -1, 10)
    await assert.rejects(messages, { code: 'conversation_not_found' })
    await assert.rejects(hand.chat.deleteConversation(somebody, conversation), { code: 'conversation_not_found' })
  })
}
