import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import { opening } from '#identity/owners-seal.ts'
import type { Owner } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import { type Clock, systemClock } from '#platform/clock.ts'
import type { Key, Kv } from '#platform/kv/kv.ts'
import type { Archive } from './archive.ts'
import type { Conversation, ConversationPins, Conversations, MessagePage } from './conversations.ts'
import { DataKeys } from './data-keys.ts'
import { isErased, throwAsGone } from './erased.ts'
import { conversationIndex, conversationKeys } from './keys.ts'
import { listConversations, pruneConversations } from './list.ts'
import { type MasterKeysOptions, openMasterKeys } from './master-keys.ts'
import { decodeMessages } from './message-codec.ts'
import { readEntries } from './read-messages.ts'
import { Recovery } from './recovery.ts'
import { createConversation } from './store/create.ts'
import { deleteConversation } from './store/delete.ts'
import { loadConversation } from './store/read.ts'
import type { StoredConversation } from './store/record.ts'
import { renameConversation } from './store/rename.ts'
import { checkTitle, sealTitle, unsealTitle } from './title.ts'
import type { Seal } from './vault.ts'
import { createVeil } from './veil.ts'

export interface ConversationsOptions extends MasterKeysOptions {
  kv: Kv
  /** How long a conversation without activity is kept. */
  idleMs: number
  clock?: Clock
  /** Has the messages of conversations that `kv` has lost, and the keys. */
  archive?: Archive | undefined
}

const MAX_CONVERSATIONS = 10_000
const PINS = 50_000

/** Throws environment_invalid when there are no master keys to be had. */
export async function createConversations(options: ConversationsOptions): Promise<Conversations> {
  const { kv, idleMs, clock = systemClock, archive } = options
  const masterKeys = await openMasterKeys(options)
  const dataKeys = new DataKeys({ kv, masterKeys, clock, safe: archive?.keys })
  await dataKeys.listen()

  const recovery = archive && new Recovery({ kv, archive, sealOf: (owner) => dataKeys.seal(owner), idleMs, clock })

  /** By the key of its record, which names its owner too. */
  const pins = new LRUCache<Key, ConversationPins>({ max: PINS })

  async function load(owner: Owner, id: string): Promise<StoredConversation> {
    const { record } = conversationKeys(owner, id)
    const find = () => kv.run(loadConversation, [record], [])
    const stored = (await find()) ?? ((await recovery?.conversation(owner, id)) ? await find() : undefined)
    if (!stored) throw new ParleyError('conversation_not_found')
    return stored
  }

  async function shown(owner: Owner, id: string, stored: StoredConversation): Promise<Conversation> {
    const { title, cohort: _, ...rest } = stored
    if (!title) return { id, ...rest, title: null }
    const read = (seal: Seal) => unsealTitle(seal, conversationKeys(owner, id), title)
    return { id, ...rest, title: await opening(await dataKeys.seal(owner), read) }
  }

  /** Nothing where its owner was erased before it was. */
  async function listed(owner: Owner, id: string, stored: StoredConversation): Promise<Conversation[]> {
    try {
      return [await shown(owner, id, stored)]
    } catch (error) {
      if (isErased(error)) return []
      throw error
    }
  }

  async function messagesOf(principal: Owner, id: string, after: number, limit: number): Promise<MessagePage> {
    const keys = conversationKeys(principal, id)
    const read = () => readEntries(kv, keys, after, limit)
    let found = await read().catch(ifNotFound)
    if (!found && (await recovery?.conversation(principal, id))) found = await read()
    if (!found) throw new ParleyError('conversation_not_found')
    if (found.entries.length === 0 && (await recovery?.messages(principal, id))) found = await read()
    const { entries, next } = found
    if (entries.length === 0) return { items: [], next }
    const decode = (seal: Seal) => entries.flatMap((entry) => decodeMessages(seal, keys, entry))
    return { items: await opening(await dataKeys.seal(principal), decode), next }
  }

  return {
    ...createVeil(masterKeys),

    async create(principal, { specialist, title, pin }) {
      const id = newId('conv')
      const keys = conversationKeys(principal, id)
      const { config, arm, cohort } = pin(id)
      const sealed = title === undefined ? '' : sealTitle(await dataKeys.seal(principal), keys, checkTitle(title))
      const args = [id, specialist, config, arm, cohort, sealed, idleMs, MAX_CONVERSATIONS]
      for (;;) {
        const createdAt = await kv.run(createConversation, [keys.record, keys.index], args)
        if (createdAt !== undefined) {
          pins.set(keys.record, { specialist, config, arm, cohort })
          const fresh = { createdAt, updatedAt: createdAt, messages: 0, liveTurn: null, version: 1 }
          return { id, specialist, config, arm, title: title ?? null, ...fresh }
        }
        if (!(await pruneConversations(kv, principal))) throw tooMany()
      }
    },

    async get(principal, id) {
      return shown(principal, id, await load(principal, id)).catch(throwAsGone('conversation_not_found'))
    },

    async pins(principal, id) {
      const { record } = conversationKeys(principal, id)
      const known = pins.get(record)
      if (known) return known
      const { specialist, config, arm, cohort } = await load(principal, id)
      const found = { specialist, config, arm, cohort }
      pins.set(record, found)
      return found
    },

    async list(principal, page) {
      if (page.cursor === undefined) await recovery?.all(principal)
      const { items, next } = await listConversations(kv, principal, page)
      const found = await Promise.all(items.map(({ id, stored }) => listed(principal, id, stored)))
      return { items: found.flat(), next }
    },

    async rename(principal, id, title, ifVersion) {
      const keys = conversationKeys(principal, id)
      const sealed = sealTitle(await dataKeys.seal(principal), keys, checkTitle(title))
      const { record, messages, index } = keys
      const renamed = () => kv.run(renameConversation, [record, messages, index], [id, sealed, ifVersion ?? '', idleMs])
      let result = await renamed()
      if (result.kind === 'gone' && (await recovery?.conversation(principal, id))) result = await renamed()
      if (result.kind === 'gone') throw new ParleyError('conversation_not_found')
      if (result.kind === 'changed') throw new ParleyError('version_conflict')
      return shown(principal, id, result.conversation).catch(throwAsGone('conversation_not_found'))
    },

    async delete(principal, id) {
      const { record, messages, index } = conversationKeys(principal, id)
      const deleted = await kv.run(deleteConversation, [record, messages, index], [id])
      if (!deleted) throw new ParleyError('conversation_not_found')
      return deleted.liveTurn
    },

    messages: (principal, id, after, limit) =>
      messagesOf(principal, id, after, limit).catch(throwAsGone('conversation_not_found')),

    recover: async (principal, id) => (await recovery?.conversation(principal, id)) ?? false,
    recoverMessages: async (principal, id) => (await recovery?.messages(principal, id)) ?? false,

    seal: (principal) => dataKeys.seal(principal),

    async destroyKey(principal) {
      await dataKeys.destroy(principal, [conversationIndex(principal)])
    },

    hasKey: (principal) => dataKeys.has(principal),
  }
}

function ifNotFound(error: unknown): undefined {
  if (!(error instanceof ParleyError) || error.code !== 'conversation_not_found') throw error
}

function tooMany(): ParleyError {
  const message = `At most ${MAX_CONVERSATIONS} conversations are kept; delete some first.`
  return new ParleyError('too_many_conversations', { message })
}
