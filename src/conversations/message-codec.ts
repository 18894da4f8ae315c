import { ParleyError } from '#errors.ts'
import type { LogEntry } from '#platform/kv/kv.ts'
import type { ConversationKeys, Message } from './conversations.ts'
import type { Seal } from './vault.ts'

/** The body of the log entry at `position`: the messages of one turn. */
export function encodeMessages(
  seal: Seal,
  keys: ConversationKeys,
  position: number,
  messages: readonly Message[],
): Buffer {
  return seal.seal(JSON.stringify(messages), placeOf(keys, position))
}

/** Throws sealed_unreadable. */
export function decodeMessages(seal: Seal, keys: ConversationKeys, { position, body }: LogEntry): Message[] {
  const messages: unknown = JSON.parse(seal.unseal(body, placeOf(keys, position)).toString())
  if (!Array.isArray(messages)) throw new ParleyError('sealed_unreadable')
  return messages
}

function placeOf({ messages }: ConversationKeys, position: number): string {
  return `${messages}@${position}`
}
