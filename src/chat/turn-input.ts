import type { Principal } from '#identity/principal.ts'
import type { ChatMessage } from '#models/answer.ts'
import type { Arm, TurnEvent } from './turn-events.ts'

/** What a turn was started with: kept sealed in its record, all that a successor needs besides the log. */
export interface TurnInput {
  turn: string
  principal: Principal
  conversation: string | null
  specialist: string
  config: string
  arm: Arm
  message: string
  /** A turn that stands alone brings its own history and parameters. */
  alone: { history: readonly ChatMessage[]; parameters: Readonly<Record<string, unknown>> } | null
  readOnly: boolean
  /** ms since the epoch. */
  startedAt: number
}

/** What a turn ended with: kept sealed in its record, for as long as the record lives. The rest is in the terminal event. */
export interface TurnOutcome {
  text: string
  terminal: Pick<TurnEvent, 'type' | 'data'> & { position: number }
}
