import type { Conversation } from '#conversations/conversations.ts'
import type { LimitFigures } from '#errors.ts'
import type { Served } from '#events/events.ts'
import type { Principal } from '#identity/principal.ts'
import type { Answer, AnswerSink, ChatMessage } from '#models/answer.ts'
import type { Arm, Receipt, TurnEvent } from './turn-events.ts'

/** The public face of `chat/`: turns that survive. Made by `createChat` (see `create.ts`). */
export interface Chat {
  /**
   * Begins a conversation and draws what serves it, or takes the `version` that was picked. Rejects with specialist_not_found,
   * forbidden (only operators pick), key_scope, config_not_found, invalid_request (title), too_many_conversations.
   */
  createConversation(principal: Principal, from: ConversationRequest): Promise<Conversation>
  /** Throws specialist_not_found when no version that is served has it, or the picked one has not; forbidden, key_scope, config_not_found. */
  checkSpecialist(principal: Principal, specialist: string, version?: string): void
  /**
   * Admits and opens a turn and starts producing it in the background; resolves once its log is open, before the model is
   * called. Rejects with forbidden, key_scope, config_not_found, turn_in_progress, idempotency_mismatch, conversation_not_found, specialist_not_found,
   * message_too_large, overloaded, rate_limited, shutting_down, state_unavailable.
   */
  start(principal: Principal, request: TurnRequest): Promise<StartedTurn>
  /**
   * The turn's events after position `after` (-1 for all), in batches, until and with the terminal one. Ends without an event when
   * `after` is the terminal one's position. A position that is gone gives a `snapshot` first. Rejects with
   * turn_not_found or bad_position. Ending the iteration does not touch the turn.
   */
  read(principal: Principal, turn: string, after: number, signal: AbortSignal): AsyncIterable<readonly TurnEvent[]>
  get(principal: Principal, turn: string): Promise<TurnView>
  /**
   * Durable; resolves once noted, reaches the producer on whichever replica. Rejects with turn_not_found, turn_finished,
   * state_unavailable (then a producer on this replica has stopped all the same).
   */
  cancel(principal: Principal, turn: string): Promise<void>
  /** With all that its turns left; a running one is cancelled first. Rejects with conversation_not_found. */
  deleteConversation(principal: Principal, id: string): Promise<void>
  /** Rejects with turn_not_found, turn_running. */
  feedback(principal: Principal, turn: string, feedback: Feedback): Promise<void>
  /** What `model` of the OpenAI-compatible surface names: a specialist or a route. Throws key_scope, model_not_found. */
  addressee(model: string, principal: Principal): Addressee
  /** All that `model` may name for somebody. */
  addressees(principal: Principal): Addressee[]
  /** The same for one request, which counts as a conversation of one turn. Throws forbidden, config_not_found, too. */
  address(principal: Principal, model: string, version?: string): Addressed
  /**
   * Passes a request through to a route (or to a specialist without actions, whose instructions go first): no log, no
   * resume. The sink gets the provider's own bytes.
   */
  relay(principal: Principal, request: RelayRequest, sink: AnswerSink): Promise<Answer>
  /** Turns and relays that this replica produces at the moment. */
  readonly live: number
  /** No new turns; running ones get `graceMs`, then are handed over to another replica or end with a typed event. */
  drain(graceMs: number): Promise<void>
}

export interface Addressee {
  name: string
  kind: 'specialist' | 'route'
  /** Its requests open a turn, since it may call actions of ours. */
  opensTurn: boolean
  /** Names that a caller's own tools must not take. */
  actions: readonly string[]
  config: string
}

/** What one request is for, as it is served. */
export interface Addressed extends Addressee {
  served: Served
}

export interface ConversationRequest {
  specialist: string
  title?: string
  /** Picked by somebody who operates. */
  version?: string
}

export interface RelayRequest {
  to: Addressed
  messages: readonly ChatMessage[]
  parameters: Readonly<Record<string, unknown>>
  /** W3C trace context of the request. */
  traceparent?: string | undefined
  /** Calls it off, with the reason that the answer rejects with; a chat that drains does so itself, after the grace time. */
  abort: AbortController
  /** Hears what is left to the caller, before anything is answered. */
  onLimits?(limits: LimitFigures): void
}

export interface TurnRequest {
  /** The conversation it belongs to, or the specialist of a turn that stands alone (no conversation is kept). */
  in:
    | { conversation: string }
    | {
        specialist: string
        history: readonly ChatMessage[]
        parameters: Readonly<Record<string, unknown>>
        /** As `address` found it. */
        served?: Served
      }
  /** The user's message; for a turn that stands alone, the last message of its history speaks. */
  message?: string
  idempotencyKey?: string
  /** No `write` action runs in it. */
  readOnly?: boolean
  /** Picked by somebody who operates; a conversation has its own, and takes no other. */
  version?: string
  /** W3C trace context of the request. */
  traceparent?: string | undefined
}

export interface StartedTurn {
  id: string
  conversation: string | null
  config: string
  arm: Arm
  /** False when an earlier request with the same Idempotency-Key started it. */
  created: boolean
  /** What is left to the caller, where there are limits. */
  limits?: LimitFigures
}

export interface TurnView {
  id: string
  conversation: string | null
  specialist: string
  config: string
  arm: Arm
  /** The user's message; empty for a turn that stands alone, and for one that reports late results by itself. */
  message: string
  status: 'running' | 'completed' | 'failed' | 'cancelled'
  /** The visible text so far. */
  text: string
  /** Position of the last event. */
  position: number
  receipt: Receipt | null
  error: { code: string; message: string } | null
  feedback: Feedback | null
  /** Calls of the caller's own tools (turns that stand alone only). */
  toolCalls: readonly { id: string; name: string; arguments: string }[]
}

export interface Feedback {
  rating: 'up' | 'down'
  comment?: string
}
