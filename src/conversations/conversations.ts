import type { Owner, Principal } from '#identity/principal.ts'
import type { Key } from '#platform/kv/kv.ts'
import type { Seal } from './vault.ts'

/** The public face of `conversations/`. Everything is the caller's own: what belongs to somebody else is not found. */
export interface Conversations {
  create(principal: Principal, from: NewConversation): Promise<Conversation>
  /** Rejects with conversation_not_found. */
  get(principal: Principal, id: string): Promise<Conversation>
  /** Newest activity first. `cursor` is the `next` of the page before. */
  list(principal: Principal, page: { limit: number; cursor?: string }): Promise<ConversationPage>
  /** `ifVersion` from `Conversation.version`; rejects with version_conflict, conversation_not_found. */
  rename(principal: Principal, id: string, title: string, ifVersion?: number): Promise<Conversation>
  /** With its messages; a running turn loses its conversation and stops at its next append. */
  delete(principal: Principal, id: string): Promise<void>
  /** In order, above position `after` (-1 for all). */
  messages(principal: Principal, id: string, after: number, limit: number): Promise<MessagePage>
  /** The seal of a principal's data, for what other modules keep at rest (turn logs). */
  seal(principal: Owner): Promise<Seal>
  /** Destroys the principal's data key: nothing sealed with it can ever be read again. */
  destroyKey(principal: Owner): Promise<void>
}

export interface NewConversation {
  specialist: string
  title?: string
  /** Pinned at creation. */
  config: string
  arm: 'stable' | 'canary'
}

export interface Conversation {
  id: string
  specialist: string
  /** Given, or the beginning of the first message; null before that. */
  title: string | null
  config: string
  arm: 'stable' | 'canary'
  createdAt: number
  updatedAt: number
  /** Number of messages kept. */
  messages: number
  /** The turn that runs now, if any. */
  liveTurn: string | null
  version: number
}

export interface ConversationPage {
  items: Conversation[]
  next: string | null
}

/** One message as kept. The messages of a turn are appended as one log entry. */
export interface Message {
  id: string
  turn: string
  role: 'user' | 'assistant' | 'tool'
  content: string
  /** assistant: the calls it asked for. */
  toolCalls?: { id: string; name: string; arguments: string }[]
  /** tool: the call it answers. */
  callId?: string
  /** assistant: false when the turn was cancelled or failed before its answer was complete. */
  complete?: boolean
  /** ms since the epoch. */
  at: number
}

export interface MessagePage {
  items: Message[]
  /** The position to go on from, null at the end. */
  next: number | null
}

/**
 * Where a conversation lives in `kv`, for `chat/`, whose steps (open a turn, commit it) touch it atomically.
 * record: fields specialist, config, arm, createdAt, updatedAt, title (sealed), messages (count), live (turn id), version.
 * messages: log; each entry is the sealed JSON array of `Message` of one append.
 * index: sorted set of all conversations of the principal by updatedAt.
 */
export interface ConversationKeys {
  record: Key
  messages: Key
  index: Key
}
