import type { Run, RunStatus } from '#actions/port.ts'
import type { ErrorBody } from '#errors.ts'
import type { Answer, Segment, WireToolCall } from '#models/answer.ts'

/**
 * What a turn log holds, in order; SSE `event:` and `data:`, and the same over WebSocket. A log ends with exactly one of
 * the terminal events `turn.completed`, `turn.failed`, `turn.cancelled`.
 */
export interface TurnEvents {
  'turn.started': { turn: string; conversation: string | null; specialist: string; config: string; arm: Arm }
  /** `model` on the first one of a segment: who speaks. */
  token: { text: string; model?: string }
  /** Another model speaks from here on; with `reset`, forget the text of this step that was shown. */
  segment: { model: string; reason: string; reset?: true }
  /** The model asks for an action. */
  call: { step: number; index: number; action: string; arguments: string }
  /**
   * A run's status changed. `output` once settled: what the model is told. `approval` while it awaits one: the hash to approve
   * it by, who may, and until when (ms since the epoch).
   */
  run: {
    id: string
    action: string
    status: RunStatus
    step: number
    index: number
    output?: string
    approval?: Run['approval']
  }
  /** Trouble from which the turn recovers. */
  notice: { code: string; message: string }
  /** Instead of events that are gone: the visible text up to position `at`. Never in the log. */
  snapshot: { text: string; at: number }
  /** A segment ended; `finish` when it completed the answer of its step. */
  usage: Segment & { step: number; finish?: Answer['finish'] }
  /** `toolCalls`: of the caller's own tools, for the caller to answer (only on `/v1`). */
  'turn.completed': { finish: Answer['finish']; toolCalls?: WireToolCall[]; receipt: Receipt }
  /** `retryAfterMs` where it is known how long waiting helps. */
  'turn.failed': ErrorBody & { retryAfterMs?: number; receipt: Receipt }
  'turn.cancelled': { receipt: Receipt }
}

export type Arm = 'stable' | 'canary'
export type TurnEventType = keyof TurnEvents

/** An event as it travels: its data is encoded once, for the log and for every reader. */
export interface TurnEvent<Type extends TurnEventType = TurnEventType> {
  /** Its place in the log, from 0; undefined while the log is out of reach (provisional: a resume may send it again). */
  position: number | undefined
  type: Type
  /** JSON of `TurnEvents[type]`. */
  data: string
}

export function isTerminal(type: TurnEventType): boolean {
  return type === 'turn.completed' || type === 'turn.failed' || type === 'turn.cancelled'
}

/** What a finished turn can prove. Costs in USD. */
export interface Receipt {
  turn: string
  conversation: string | null
  specialist: string
  config: { version: string; hash: string; arm: Arm }
  segments: (Segment & { step: number })[]
  runs: { id: string; action: string; status: RunStatus }[]
  steps: number
  inputTokens: number
  outputTokens: number
  costUsd: number
  /** Set when the history was shortened to fit the window: how many messages were left out. */
  compaction?: { omittedMessages: number }
  startedAt: string
  endedAt: string
}
