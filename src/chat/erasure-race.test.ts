import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createConversations } from '#conversations/create.ts'
import { ParleyError } from '#errors.ts'
import { eraseLiveState } from '#governance/privacy/live-state.ts'
import { createLog } from '#log.ts'
import type { ChatMessage } from '#models/answer.ts'
import { createKv } from '#platform/kv/create-kv.ts'
import type { Kv } from '#platform/kv/kv.ts'
import { SqliteEngine } from '#platform/kv/sqlite.ts'
import { type ChatAtHand, chatAtHand, somebody } from '../../test/support/chat-at-hand.ts'
import { manualClock } from '../../test/support/clock.ts'
import { withCarriedCalls } from './carried-calls.ts'
import { carriedCallKey, placeOf } from './store/turn-keys.ts'

/** Gone, or at an end: what somebody may hear of what is theirs while they are being erased. */
const HEARD = ['conversation_not_found', 'turn_not_found', 'turn_finished', 'idempotency_mismatch', 'bad_position']

interface Said {
  conversation: string
  turn: string
}

type Ask = (hand: ChatAtHand, said: Said) => Promise<unknown>

async function readAll({ chat }: ChatAtHand, turn: string): Promise<void> {
  for await (const _events of chat.read(somebody, turn, -1, new AbortController().signal)) {
    // That it ends is enough.
  }
}

const asks: Record<string, Ask> = {
  'a turn is started': async (hand, { conversation }) => {
    const { id } = await hand.chat.start(somebody, { in: { conversation }, message: 'and now?' })
    await readAll(hand, id)
    await hand.chat.get(somebody, id)
  },
  'a turn is asked for again': async ({ chat }, { conversation }) =>
    chat.start(somebody, { in: { conversation }, message: 'hello', idempotencyKey: 'same' }),
  'a turn is looked at': ({ chat }, { turn }) => chat.get(somebody, turn),
  'a turn is read': (hand, { turn }) => readAll(hand, turn),
  'a turn is judged': ({ chat }, { turn }) => chat.feedback(somebody, turn, { rating: 'up', comment: 'fine' }),
  'a turn is cancelled': ({ chat }, { turn }) => chat.cancel(somebody, turn),
  'a conversation is looked at': ({ conversations }, { conversation }) => conversations.get(somebody, conversation),
  'its messages are read': ({ conversations }, { conversation }) =>
    conversations.messages(somebody, conversation, -1, 10),
  'conversations are listed': ({ conversations }) => conversations.list(somebody, { limit: 10 }),
  'a conversation is renamed': ({ conversations }, { conversation }) =>
    conversations.rename(somebody, conversation, 'renamed'),
  'a conversation is deleted': ({ chat }, { conversation }) => chat.deleteConversation(somebody, conversation),
}

/** A store that does something right before the nth thing that is asked of it from then on. */
function interrupted(kv: Kv) {
  let left = Number.POSITIVE_INFINITY
  let act = async () => {}
  const before =
    <Args extends unknown[], Result>(ask: (...args: Args) => Promise<Result>) =>
    async (...args: Args): Promise<Result> => {
      left -= 1
      if (left === -1) await act()
      return ask(...args)
    }
  return {
    kv: { ...kv, run: before(kv.run), get: before(kv.get), read: before(kv.read) } as Kv,
    at(nth: number, acting: () => Promise<void>) {
      left = nth
      act = acting
    },
    get wasReached() {
      return left < 0
    },
  }
}

/** Whether the erasure came in between at all; what was asked must not fail in a way that is nobody's fault. */
async function raced(ask: Ask, nth: number, by: 'this replica' | 'another', whole: boolean): Promise<boolean> {
  const clock = manualClock()
  const raw = createKv(new SqliteEngine({ path: ':memory:', clock, log: createLog('silent') }))
  await using _closing = { [Symbol.asyncDispose]: () => raw.close() }
  const store = interrupted(raw)
  const masterKeys = { source: 'environment' as const, keys: [{ id: 'test', key: randomBytes(32) }] }
  const open = (kv: Kv) => createConversations({ kv, masterKeys, idleMs: 1e9, clock })
  const conversations = await open(store.kv)
  const eraser = by === 'another' ? await open(raw) : conversations
  const text = { text: 'Well.' }
  await using hand = await chatAtHand({ say: [text, text], sharing: { store: store.kv, clock, conversations } })
  const conversation = await hand.converse()
  const asked = { in: { conversation }, message: 'hello', idempotencyKey: 'same' }
  const { id: turn } = await hand.chat.start(somebody, asked)
  await readAll(hand, turn)

  store.at(nth, async () => {
    await eraser.destroyKey(somebody)
    if (whole) await eraseLiveState(raw, somebody)
  })
  await ask(hand, { conversation, turn }).catch((error) => {
    assert.ok(error instanceof ParleyError && HEARD.includes(error.code), `${nth}: ${error.stack}`)
  })
  return store.wasReached
}

test('what was kept of calls for a caller who was erased since is left out, and what the caller has sent stands', async () => {
  await using hand = await chatAtHand({})
  const { conversations, store } = hand
  const at = carriedCallKey(somebody, 'call_1')
  const seal = await conversations.seal(somebody)
  const ours: ChatMessage[] = [{ role: 'assistant', content: 'ours' }]
  await store.put(at, seal.seal(JSON.stringify(ours), placeOf(at, 'calls')))
  const sent: ChatMessage = {
    role: 'assistant',
    content: 'theirs',
    tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'look', arguments: '{}' } }],
  }
  const seen = () => withCarriedCalls({ kv: store, conversations }, somebody, [sent])
  assert.deepEqual(await seen(), ours)
  await conversations.destroyKey(somebody)
  assert.deepEqual(await seen(), [sent])
})

test('a replica that nobody told of the erasure shows what its person has said since, and nothing of before', async () => {
  const clock = manualClock()
  const raw = createKv(new SqliteEngine({ path: ':memory:', clock, log: createLog('silent') }))
  await using _closing = { [Symbol.asyncDispose]: () => raw.close() }
  const masterKeys = { source: 'environment' as const, keys: [{ id: 'test', key: randomBytes(32) }] }
  const open = (kv: Kv) => createConversations({ kv, masterKeys, idleMs: 1e9, clock })
  const [told, deaf] = [await open(raw), await open({ ...raw, listen: async () => () => {} })]
  const say = Array.from({ length: 9 }, () => ({ text: 'Well.' }))
  await using here = await chatAtHand({ say, sharing: { store: raw, clock, conversations: told } })
  await using there = await chatAtHand({ sharing: { store: raw, clock, conversations: deaf } })
  const talk = async () => {
    const conversation = await here.converse()
    const { id: turn } = await here.chat.start(somebody, { in: { conversation }, message: 'hello' })
    await readAll(here, turn)
    return { conversation, turn }
  }
  const past = await talk()
  // The second time the key that is known there is one of since an erasure, too.
  for (let time = 0; time < 2; time++) {
    const looks: [asked: string, look: (turn: string, conversation: string) => Promise<unknown>][] = [
      ['view', (turn) => there.chat.get(somebody, turn)],
      ['log', (turn) => readAll(there, turn)],
      ['messages', (_, conversation) => deaf.messages(somebody, conversation, -1, 10)],
      ['feedback', (turn) => there.chat.feedback(somebody, turn, { rating: 'up', comment: 'fine' })],
    ]
    for (const [asked, look] of looks) {
      await deaf.seal(somebody)
      await told.destroyKey(somebody)
      const { turn, conversation } = await talk()
      await look(turn, conversation).catch((error) => assert.fail(`${asked}: ${error.stack}`))
      if (asked === 'feedback') assert.equal((await here.chat.get(somebody, turn)).feedback?.comment, 'fine')
      await assert.rejects(
        look(past.turn, past.conversation),
        (error) => error instanceof ParleyError && HEARD.includes(error.code),
      )
    }
  }
})

for (const [what, ask] of Object.entries(asks)) {
  for (const by of ['this replica', 'another'] as const) {
    for (const whole of [false, true]) {
      test(`${what} while ${by} has ${whole ? 'erased' : 'destroyed the key of'} its person: nothing but that it is gone`, async () => {
        let nth = 0
        while (await raced(ask, nth, by, whole)) nth += 1
        assert.ok(nth > 0)
      })
    }
  }
}
