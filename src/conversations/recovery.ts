import type { Owner } from '#identity/principal.ts'
import { partitionOf } from '#identity/principal.ts'
import type { Clock } from '#platform/clock.ts'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'
import type { Archive, ArchivedConversation } from './archive.ts'
import { conversationKeys } from './keys.ts'
import { loadConversation } from './store/read.ts'
import { restoreConversation } from './store/restore.ts'
import type { Seal } from './vault.ts'

export interface RecoveryOptions {
  kv: Kv
  archive: Pick<Archive, 'conversations' | 'messages'>
  sealOf(owner: Owner): Promise<Seal>
  idleMs: number
  clock: Clock
}

const ENTRIES_AT_ONCE = 100
const RESTORED_AT_ONCE = 100

/**
 * Brings back what the live state has lost of conversations: their records for lists and for their next turn, their messages
 * when somebody asks for them. What the archive does not have (a conversation without a finished turn) is gone.
 */
export class Recovery {
  readonly #options: RecoveryOptions

  constructor(options: RecoveryOptions) {
    this.#options = options
  }

  /** Whether the conversation is there by now. */
  async conversation(owner: Owner, id: string): Promise<boolean> {
    const { archive, sealOf } = this.#options
    const [found] = await archive.conversations(owner, await sealOf(owner), [id])
    if (found) await this.#restore(owner, found)
    return found !== undefined
  }

  /** All of an owner's, once after each loss. */
  async all(owner: Owner): Promise<void> {
    const { kv, archive, sealOf, idleMs } = this.#options
    const mark = markOf(owner)
    if (await kv.get(mark)) return
    const found = await archive.conversations(owner, await sealOf(owner), undefined)
    for (let at = 0; at < found.length; at += RESTORED_AT_ONCE) {
      await Promise.all(found.slice(at, at + RESTORED_AT_ONCE).map((each) => this.#restore(owner, each)))
    }
    await kv.put(mark, Buffer.alloc(0), { ttlMs: idleMs })
  }

  /** Whether messages were missing, and are there by now. */
  async messages(owner: Owner, id: string): Promise<boolean> {
    const { kv, archive, idleMs } = this.#options
    const { record, messages } = conversationKeys(owner, id)
    const [stored, present] = await Promise.all([kv.run(loadConversation, [record], []), kv.read(messages, -1, 1)])
    if (!stored || stored.messages === 0 || present.length > 0) return false
    for (let after: number | null = -1; after !== null; ) {
      const page = await archive.messages(owner, id, after, ENTRIES_AT_ONCE)
      if (!page) return false
      // Whoever else does this appends the same, at the same positions.
      for (const { position, body } of page.entries) await kv.append(messages, position, body, { ttlMs: idleMs })
      after = page.next
    }
    return true
  }

  async #restore(owner: Owner, conversation: ArchivedConversation): Promise<void> {
    const { kv, idleMs, clock } = this.#options
    const { id, specialist, config, arm, cohort, createdAt, updatedAt, messages, version, title } = conversation
    const ttlMs = Math.ceil(updatedAt + idleMs - clock.now())
    if (ttlMs <= 0) return
    const { record, index } = conversationKeys(owner, id)
    const kept = [createdAt, updatedAt, messages, version, title ?? '', ttlMs]
    await kv.run(restoreConversation, [record, index], [id, specialist, config, arm, cohort, ...kept])
  }
}

function markOf(owner: Owner): Key {
  return key(partitionOf(owner), 'conversations-known')
}
