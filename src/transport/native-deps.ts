import type { Actions } from '#actions/actions.ts'
import type { Chat } from '#chat/chat.ts'
import type { Serving } from '#config/serving.ts'
import type { Conversations } from '#conversations/conversations.ts'
import type { Audit } from '#governance/audit.ts'
import type { Log } from '#log.ts'
import type { Models } from '#models/models.ts'
import type { Clock } from '#platform/clock.ts'
import type { TransportLimits } from './limits.ts'

/** What the native API stands on. */
export interface NativeDeps {
  log: Log
  clock: Clock
  chat: Chat
  actions: ServedActions
  /** Creating and deleting are the chat's, which knows what serves a conversation and what else goes with it. */
  conversations: Pick<Conversations, 'get' | 'list' | 'rename' | 'messages'>
  serving: Pick<Serving, 'stable'>
  models: Pick<Models, 'health' | 'setCircuit'>
  /** In the audit log. */
  note: Audit['note']
  limits: TransportLimits
  /** Of this program. */
  version: string
  /** What keeps this replica from serving, for operators to read; undefined when nothing does. */
  ready(): string | undefined
}

/** Of actions, what callers reach; the rest is the chat's and the process's. */
export type ServedActions = Pick<
  Actions,
  | 'catalogue'
  | 'start'
  | 'get'
  | 'list'
  | 'follow'
  | 'approve'
  | 'reject'
  | 'cancel'
  | 'replay'
  | 'replayAll'
  | 'discard'
  | 'settle'
  | 'undo'
>
