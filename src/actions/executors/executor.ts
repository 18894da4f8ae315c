import type { Clock } from '#platform/clock.ts'

/**
 * Does what an action is for. The arguments fit the action's schema. What it returns is told to the model as JSON; what it
 * throws is told only when it is a `CorrectableError`. It stops when the signal aborts.
 */
export type Executor = (args: Readonly<Record<string, unknown>>, context: ExecutorContext) => unknown

export interface ExecutorContext {
  clock: Clock
  signal: AbortSignal
}

/** The caller can put it right; the message, a sentence, tells how. */
export class CorrectableError extends Error {
  override readonly name = 'CorrectableError'
}
