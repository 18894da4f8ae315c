import type { Run } from '#actions/port.ts'
import type { Seal } from '#conversations/vault.ts'
import type { Principal } from '#identity/principal.ts'
import type { ChatMessage } from '#models/answer.ts'
import { placeOf, type TurnKeys } from './store/turn-keys.ts'
import type { Arm, TurnEvent } from './turn-events.ts'

/** What a turn was started with: kept sealed in its record, all that a successor needs besides the log. */
export interface TurnInput {
  turn: string
  principal: Principal
  conversation: string | null
  specialist: string
  config: string
  arm: Arm
  /** Where it is counted: see `#config/serving.ts`. */
  cohort: string
  message: string
  /** A turn that stands alone brings its own history and parameters. */
  alone: { history: readonly ChatMessage[]; parameters: Readonly<Record<string, unknown>> } | null
  /** A turn that nobody asked for: it reports what came of the actions of an earlier one. */
  followUp: FollowUpInput | null
  readOnly: boolean
  /** ms since the epoch. */
  startedAt: number
  /** W3C trace context of the request that asked for it. */
  traceparent?: string | undefined
}

/** What every line of the log says of it. */
export function loggedOf({ turn, config, arm }: TurnInput) {
  return { turn, config, arm }
}

/** What the turn is judged as: see `Served`. */
export function unitOf({ conversation, turn }: Pick<TurnInput, 'conversation' | 'turn'>): string {
  return conversation ?? turn
}

/** What a turn ended with: kept sealed in its record, for as long as the record lives. The rest is in the terminal event. */
export interface TurnOutcome {
  text: string
  terminal: Pick<TurnEvent, 'type' | 'data'> & { position: number }
  /** See `TurnEnded`; not in what was kept before that. */
  firstTokenMs?: number | null
}

/** The late results of `turn`. */
export interface FollowUpInput {
  turn: string
  runs: readonly (Pick<Run, 'id' | 'action' | 'status'> & { output: string | null })[]
}

/** From the turn's record. Records of before there were follow-ups or cohorts say nothing of them. Throws sealed_unreadable. */
export function readInput(seal: Seal, { turn }: Pick<TurnKeys, 'turn'>, sealed: Buffer): TurnInput {
  const kept: Omit<TurnInput, 'followUp' | 'cohort'> & Partial<TurnInput> = JSON.parse(
    seal.unseal(sealed, placeOf(turn, 'input')).toString(),
  )
  return { ...kept, followUp: kept.followUp ?? null, cohort: kept.cohort ?? '' }
}
