import type { MasterKeysEnv } from '#env.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Conversation, Conversations, Message } from './conversations.ts'
import { readCursor, writeCursor } from './cursor.ts'
import { DataKeys } from './data-keys.ts'
import { conversationKeys } from './keys.ts'
import { openMasterKeys } from './master-keys.ts'
import { decodeMessages } from './message-codec.ts'
import {
  createConversation,
  deleteConversation,
  listConversations,
  loadConversation,
  pruneConversation,
  renameConversation,
  type StoredConversation,
} from './operations.ts'
import { sealTitle, unsealTitle } from './title.ts'
import type { Seal } from './vault.ts'

/** More than anybody reads; a client that makes them in a loop is told so. */
const CONVERSATIONS_PER_PRINCIPAL = 10_000

export interface ConversationsOptions {
  kv: Kv
  masterKeys: MasterKeysEnv
  /** A conversation without activity is forgotten after this long. */
  idleMs: number
}

export async function createConversations({ kv, masterKeys, idleMs }: ConversationsOptions): Promise<Conversations> {
  const dataKeys = new DataKeys(kv, await openMasterKeys(masterKeys))

  async function load(principal: Principal, id: string): Promise<Conversation | undefined> {
    if (!/^conv_[0-9a-f]{32}$/.test(id)) return undefined
    const [stored, seal] = await Promise.all([
      kv.run(loadConversation, [conversationKeys(principal, id).record], []),
      dataKeys.seal(principal),
    ])
    return stored && shown(principal, { id, ...stored }, seal)
  }

  async function known(principal: Principal, id: string): Promise<Conversation> {
    const conversation = await load(principal, id)
    if (!conversation) throw new ParleyError('conversation_not_found')
    return conversation
  }

  return {
    async create(principal, { specialist, title, config, arm }) {
      const id = newId('conv')
      const keys = conversationKeys(principal, id)
      const sealed = title === undefined ? '' : sealTitle(await dataKeys.seal(principal), keys, title)
      const args = [id, specialist, config, arm, sealed, idleMs, CONVERSATIONS_PER_PRINCIPAL]
      const createdAt = await kv.run(createConversation, [keys.record, keys.index], args)
      if (createdAt === undefined) {
        throw new ParleyError('too_many_conversations', {
          message: `At most ${CONVERSATIONS_PER_PRINCIPAL} conversations are kept; delete some first.`,
        })
      }
      const fresh = { messages: 0, liveTurn: null, version: 1 }
      return { id, specialist, title: title ?? null, config, arm, createdAt, updatedAt: createdAt, ...fresh }
    },

    get: known,

    async list(principal, { limit, cursor }) {
      const { index } = conversationKeys(principal, '')
      const after = cursor === undefined ? ['', ''] : readCursor(cursor)
      const found = await kv.run(listConversations, [index], [...after, limit])
      const loaded = await Promise.all(found.map(({ id }) => load(principal, id)))
      const expired = found.filter((_, at) => loaded[at] === undefined)
      await Promise.all(
        expired.map(({ id }) => kv.run(pruneConversation, [conversationKeys(principal, id).record, index], [id])),
      )
      const last = found.length < limit ? undefined : found.at(-1)
      return { items: loaded.filter((one) => one !== undefined), next: last ? writeCursor(last) : null }
    },

    async rename(principal, id, title, ifVersion) {
      const keys = conversationKeys(principal, id)
      const sealed = sealTitle(await dataKeys.seal(principal), keys, title)
      const result = await kv.run(renameConversation, [keys.record], [sealed, ifVersion ?? ''])
      if (result === 'conflict') throw new ParleyError('version_conflict')
      return known(principal, id)
    },

    async delete(principal, id) {
      const { record, messages, index } = conversationKeys(principal, id)
      const existed = await kv.run(deleteConversation, [record, messages, index], [id])
      if (!existed) throw new ParleyError('conversation_not_found')
    },

    async messages(principal, id, after, limit) {
      const keys = conversationKeys(principal, id)
      const [, seal, entries] = await Promise.all([
        known(principal, id),
        dataKeys.seal(principal),
        kv.read(keys.messages, after, limit),
      ])
      const items: Message[] = entries.flatMap((entry) => decodeMessages(seal, keys, entry))
      return { items, next: entries.length < limit ? null : (entries.at(-1)?.position ?? null) }
    },

    seal: (owner) => dataKeys.seal(owner),
    destroyKey: (owner) => dataKeys.destroy(owner),
  }
}

function shown(principal: Principal, stored: StoredConversation, seal: Seal): Conversation {
  const { title, live, arm, ...plain } = stored
  return {
    ...plain,
    arm: arm === 'canary' ? 'canary' : 'stable',
    title: title.length === 0 ? null : unsealTitle(seal, conversationKeys(principal, stored.id), title),
    liveTurn: live === '' ? null : live,
  }
}
