import type { ActionSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import type { Principal } from '#identity/principal.ts'
import type { Clock } from '#platform/clock.ts'

/**
 * Does what an action is for, once per attempt. The arguments fit the action's schema. What it returns is told to the model
 * as JSON. It stops when the signal aborts. What it throws decides how the run goes on: see the errors below; anything else
 * is a fault on our side, and the run fails.
 */
export type Executor = (args: Readonly<Record<string, unknown>>, context: ExecutorContext) => unknown

export interface ExecutorContext {
  clock: Clock
  /** Aborts when the attempt's time is up, the run was lost to another worker, or we are shutting down. */
  signal: AbortSignal
  /** For whom it is done. */
  principal: Principal
  run: string
  /** The same at every attempt of a run, and of no other: goes to the target as `Idempotency-Key`. */
  key: string
  /** From 1. */
  attempt: number
  traceparent: string | undefined
  /**
   * To be awaited right before the effect: rejects when the run is somebody else's by now. From then on an attempt that ends
   * without an answer may have had its effect.
   */
  begin(): Promise<void>
  /** A fresh token of the principal for `scope`. Rejects with `IdentityNeeded` when there is none to be had. */
  userToken(scope: string): Promise<string>
}

/** All ways in which actions of a config version are done. */
export interface Executors {
  /** What does this action; throws where the version was never valid. */
  executorOf(document: ConfigDocument, action: string): Executor
  /** What it would do and with what outcome, without doing it; undefined where the action offers no dry run. */
  dryRunOf(document: ConfigDocument, action: string): Executor | undefined
  close(): Promise<void>
}

/** One way: what it makes of the actions that name it. */
export interface ExecutorKind {
  /** Undefined when the action is not of this kind. */
  executorOf(document: ConfigDocument, name: string, spec: ActionSpec): Executor | undefined
  dryRunOf?(document: ConfigDocument, name: string, spec: ActionSpec): Executor | undefined
  close?(): Promise<void>
}

/** The caller can put it right; the message, a sentence, tells how, and goes to the model. The run fails. */
export class CorrectableError extends Error {
  override readonly name = 'CorrectableError'
}

/**
 * The target was asked, and what it answered cannot be used: the effect took place, or may have. The message goes to the model.
 * The run fails; where nobody may be led to try it again, what became of it is for a person to say.
 */
export class AnswerLostError extends Error {
  override readonly name = 'AnswerLostError'
}

/** Whoever only reads can, and what was done is not to be done a second time. */
export const ASK_FOR_LESS = 'If it only reads, ask for less; if it changes something, do not repeat it.'

/** It may go well another time: the target was away, busy or said so. Nothing but `message` is told to the model. */
export class PassingError extends Error {
  override readonly name = 'PassingError'
  /** A stable code, for the run's attempts: `connect_failed`, `rate_limited`, `server_error`, … */
  readonly reason: string
  /** How long the target asked to wait, ms. */
  readonly retryAfterMs: number | undefined
  /** The effect surely did not take place: even an at-most-once run may be tried again. */
  readonly untouched: boolean

  constructor(
    message: string,
    options: { reason: string; retryAfterMs?: number; untouched?: boolean; cause?: unknown },
  ) {
    super(message, { cause: options.cause })
    this.reason = options.reason
    this.retryAfterMs = options.retryAfterMs
    this.untouched = options.untouched ?? false
  }
}

/** The principal has to sign in again before it can be done in their name. */
export class IdentityNeeded extends Error {
  override readonly name = 'IdentityNeeded'

  constructor() {
    super('A fresh sign-in of the user is needed.')
  }
}
