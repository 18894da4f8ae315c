import { ParleyError } from '#errors.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import { type Key, key } from '#platform/kv/kv.ts'
import type { ConversationKeys } from './conversations.ts'

/** Other things of the principal are kept under names of other forms, which must not be taken for conversations. */
export const ID_PATTERN = /^conv_[0-9a-f]{32}$/

/** Throws conversation_not_found for what cannot be the id of one. */
export function conversationKeys(principal: Owner, id: string): ConversationKeys {
  if (!ID_PATTERN.test(id)) throw new ParleyError('conversation_not_found')
  const partition = partitionOf(principal)
  return { record: key(partition, id), messages: key(partition, `${id}:messages`), index: indexIn(partition) }
}

export function conversationIndex(principal: Owner): Key {
  return indexIn(partitionOf(principal))
}

function indexIn(partition: string): Key {
  return key(partition, 'conversations')
}
