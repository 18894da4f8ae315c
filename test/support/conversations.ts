import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Archive } from '#conversations/archive.ts'
import type { Conversation, ConversationPin, Conversations, Message } from '#conversations/conversations.ts'
import { createConversations } from '#conversations/create.ts'
import { conversationKeys } from '#conversations/keys.ts'
import { encodeMessages } from '#conversations/message-codec.ts'
import type { MasterKeysEnv } from '#env.ts'
import type { Principal } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import type { Clock } from '#platform/clock.ts'
import type { Kv, Operation } from '#platform/kv/kv.ts'

/** A store of one test. */
export interface TestStore {
  /** Two replicas' ways to it. */
  kvs: readonly [Kv, Kv]
  /** Where keys are at home, if not there. */
  archive?(masterKeys: MasterKeysEnv): Promise<Archive>
  /** All that an intruder would find. */
  atRest(): Promise<Buffer>
  close(): Promise<void>
}

export interface MasterKey {
  id: string
  key: Buffer
}

export const idleMs = 600_000
export const settings = { specialist: 'apollo', config: 'v001', arm: 'stable' } as const
const pinned: ConversationPin = { config: settings.config, arm: settings.arm, cohort: 'r1.0' }

/** What a conversation with these settings is created from. */
export function beginning(change: Partial<ConversationPin> = {}) {
  return { specialist: settings.specialist, pin: () => ({ ...pinned, ...change }) }
}

/** KEYS record · A conversation as it was kept before there were cohorts. */
export const keepOldConversation: Operation<void> = {
  name: 'test.keep-old-conversation',
  lua: `
    redis.call('HSET', KEYS[1], 'specialist', 'apollo', 'config', 'v001', 'arm', 'stable', 'createdAt', 1,
      'updatedAt', 1, 'messages', 0, 'version', 1)
    return {}`,
  twin: (step, [record]) => {
    if (!record) throw new RangeError('a record is needed')
    step.set(record, { ...settings, createdAt: 1, updatedAt: 1, messages: 0, version: 1 })
    return []
  },
  decode: () => undefined,
}

export function masterKey(id: string): MasterKey {
  return { id, key: randomBytes(32) }
}

export async function openConversations(
  kv: Kv,
  keys: readonly MasterKey[],
  clock: Clock,
  { archive }: Pick<TestStore, 'archive'> = {},
): Promise<Conversations> {
  const masterKeys = { source: 'environment', keys } as const
  return createConversations({ kv, masterKeys, idleMs, clock, archive: await archive?.(masterKeys) })
}

export function somebody(): Principal {
  const id = `person-${randomBytes(6).toString('hex')}`
  return { tenant: 'home', id, name: `Name of ${id}`, kind: 'user', roles: ['Chat.User'], scopes: [] }
}

/** Appends two messages as the commit of a turn does. */
export async function say(
  { conversations, kv }: { conversations: Conversations; kv: Kv },
  who: Principal,
  id: string,
  position: number,
  content: string,
): Promise<Message[]> {
  const keys = conversationKeys(who, id)
  const seal = await conversations.seal(who)
  const messages = [message('user', content), message('assistant', `re: ${content}`)]
  const body = encodeMessages(seal, keys, position, messages)
  assert.equal(await kv.append(keys.messages, position, body, { ttlMs: idleMs }), true)
  return messages
}

function message(role: Message['role'], content: string): Message {
  return { id: newId('msg'), turn: newId('turn'), role, content, at: 1 }
}

/** A store that counts the operations asked of it. */
export function counting(kv: Kv): { kv: Kv; calls: number } {
  const counted = {
    calls: 0,
    kv: {
      ...kv,
      run: (...args: Parameters<Kv['run']>) => {
        counted.calls += 1
        return kv.run(...args)
      },
    } as Kv,
  }
  return counted
}

export function byActivity(conversations: readonly Conversation[]): Conversation[] {
  return conversations.toSorted((a, b) => b.updatedAt - a.updatedAt || (a.id < b.id ? 1 : -1))
}

export async function pagesOf(conversations: Conversations, who: Principal, limit: number): Promise<Conversation[][]> {
  const pages: Conversation[][] = []
  for (let cursor: string | undefined; ; ) {
    const page = await conversations.list(who, { limit, ...(cursor !== undefined && { cursor }) })
    pages.push(page.items)
    if (page.next === null) return pages
    assert.ok(pages.length < 1000, 'the pages come to an end')
    cursor = page.next
  }
}
