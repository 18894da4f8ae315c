import type { Owner, Principal } from '#identity/principal.ts'
import type { Key } from '#platform/kv/kv.ts'
import type { Seal } from './vault.ts'
import type { Veil } from './veil.ts'

/** The public face of `conversations/`. Everything is the caller's own: what belongs to somebody else is not found. */
export interface Conversations extends Veil {
  /** Rejects with invalid_request (title), too_many_conversations. */
  create(principal: Principal, from: NewConversation): Promise<Conversation>
  /** Rejects with conversation_not_found. */
  get(principal: Principal, id: string): Promise<Conversation>
  /**
   * What it was created with, from memory where it is known: that the conversation still exists is for the next step on the
   * store to find out. Rejects with conversation_not_found.
   */
  pins(principal: Principal, id: string): Promise<ConversationPins>
  /**
   * Newest activity first, 1 to 100. `cursor` is the `next` of the page before. A conversation that has news while pages
   * are turned moves to the front: missed on the pages to come, never seen twice. Rejects with invalid_request.
   */
  list(principal: Principal, page: { limit: number; cursor?: string }): Promise<ConversationPage>
  /** `ifVersion` from `Conversation.version`; rejects with version_conflict, conversation_not_found, invalid_request. */
  rename(principal: Principal, id: string, title: string, ifVersion?: number): Promise<Conversation>
  /** With its messages; resolves with the turn that lived in it. Rejects with conversation_not_found. */
  delete(principal: Principal, id: string): Promise<string | null>
  /**
   * In order, above position `after` (-1 for all), of at most `limit` turns (1 to 1000); of fewer when they are large.
   * Rejects with conversation_not_found, invalid_request.
   */
  messages(principal: Principal, id: string, after: number, limit: number): Promise<MessagePage>
  /** Looks for a conversation that the live state has lost; whether it is back. */
  recover(principal: Owner, id: string): Promise<boolean>
  /** Looks for messages that the live state has lost of a conversation that it has; whether they are back. */
  recoverMessages(principal: Owner, id: string): Promise<boolean>
  /**
   * The seal of a principal's data, for what other modules keep at rest (turn logs). To be asked for with each turn or
   * request and not kept beyond: it goes on working when the key is destroyed meanwhile.
   */
  seal(principal: Owner): Promise<Seal>
  /**
   * Destroys the principal's data key: nothing sealed with it can ever be read again. The list of conversations goes with
   * it; what remains of them expires. Safe to repeat.
   */
  destroyKey(principal: Owner): Promise<void>
  /** Whether there is one to destroy. */
  hasKey(principal: Owner): Promise<boolean>
}

export interface NewConversation {
  specialist: string
  title?: string
  /** What it is pinned to, asked for once its id is known: the arm is drawn by that. */
  pin(id: string): ConversationPin
}

/** The config version that serves it, and where that is counted: see `#config/serving.ts`. */
export interface ConversationPin {
  config: string
  arm: 'stable' | 'canary'
  cohort: string
}

/** What never changes of a conversation. */
export interface ConversationPins extends ConversationPin {
  specialist: string
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
  /** user: not the user's words, but a report of what came of the actions of an earlier turn. */
  kind?: 'follow-up'
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
 *
 * record, with who writes what ("here" is this module):
 *   specialist, config, arm, cohort, createdAt   here, once, when it is created; no cohort in those of before there were any
 *   title      sealed, bytes from `sealTitle`; absent or empty: none. Here; by a commit only where there is none
 *   messages   how many messages the log holds: 0 here, raised by a commit with what it appends
 *   live       id of the turn that runs; absent or empty: none. By chat alone: set when a turn opens, emptied when it ends
 *   version    1 here; raised by one with each change of title or messages, so a rename and a commit. `live` does not count
 *   updatedAt  ms of the store's clock: when it was created, renamed or committed to last; never without the index
 * messages: log, its positions count entries from 0. Only a commit appends, an entry a turn: `encodeMessages`. The log
 *   does not exist before the first.
 * index: sorted set of the ids of all conversations of the principal; score is `updatedAt` of the record.
 *
 * Whatever writes the record sets the expiry of all three to the idle time; what expires leaves the index when that is read.
 */
export interface ConversationKeys {
  record: Key
  messages: Key
  index: Key
}
