import type { LogEntry } from '#platform/kv/kv.ts'
import type { ConversationKeys, Message } from './conversations.ts'
import type { Seal } from './vault.ts'

/** The body of the log entry at `position`. */
export function encodeMessages(
  seal: Seal,
  { messages: at }: ConversationKeys,
  position: number,
  messages: readonly Message[],
): Buffer {
  return seal.seal(JSON.stringify(messages), `${at}@${position}`)
}

/** Throws erased, sealed_unreadable. */
export function decodeMessages(
  seal: Seal,
  { messages: at }: ConversationKeys,
  { position, body }: LogEntry,
): Message[] {
  return JSON.parse(seal.unseal(body, `${at}@${position}`).toString())
}
