import { type Owner, partitionOf } from '#identity/principal.ts'
import { type Key, key } from '#platform/kv/kv.ts'
import type { ConversationKeys } from './conversations.ts'

export function conversationKeys(principal: Owner, id: string): ConversationKeys {
  const partition = partitionOf(principal)
  return {
    record: key(partition, id),
    messages: key(partition, `${id}:messages`),
    index: key(partition, 'conversations'),
  }
}

/** The principal's wrapped data key. */
export function dataKeyKey(principal: Owner): Key {
  return key(partitionOf(principal), 'data-key')
}
