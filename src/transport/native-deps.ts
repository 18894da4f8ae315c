import type { Actions } from '#actions/actions.ts'
import type { Chat } from '#chat/chat.ts'
import type { ConfigVersions } from '#config/versions.ts'
import type { Conversations, NewConversation } from '#conversations/conversations.ts'
import type { Principal } from '#identity/principal.ts'
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
  /** Deleting is the chat's, which knows what else goes with a conversation. */
  conversations: Pick<Conversations, 'create' | 'get' | 'list' | 'rename' | 'messages'>
  configs: Pick<ConfigVersions, 'current' | 'get'>
  models: Pick<Models, 'health' | 'setCircuit'>
  limits: TransportLimits
  /** Of this program. */
  version: string
  /** The config version and arm that a new conversation of this caller is pinned to. */
  assign(principal: Principal): Pick<NewConversation, 'config' | 'arm'>
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
