/** The rules of a turn. */
export const turnLimits = {
  /** Calls of a model. In the last one no actions are offered, so that it ends with an answer. */
  steps: 10,
  /** Calls of actions, over all steps; further ones are refused and the model is told. */
  calls: 32,
  /** Production time, waits for actions not counted. */
  productionMs: 15 * 60_000,
  /** How long a step waits for its actions before the model is told that they are under way. */
  actionWaitMs: 30_000,
  /** The same for one that needs its user to sign in: who can be had without being asked is had by then, and whom only words bring back should hear them. */
  identityWaitMs: 3000,
  /** A user's message, in bytes of UTF-8. */
  messageBytes: 128 * 1024,
  /** A turn's text, in characters; the answer ends there, as with a model's own limit of length. */
  textChars: 1_000_000,
  /** The arguments of one call, in characters; longer ones are cut, and so refused as what they are then: not JSON. */
  argumentChars: 64 * 1024,
  /** What an action's result may take of the prompt, in characters; more is cut off, and the model is told. */
  outputChars: 64 * 1024,
  /**
   * All calls of a turn and their results, in bytes of JSON, for they are kept as one; beyond it arguments are refused, and results
   * cut off.
   */
  callBytes: 3 * 1024 * 1024,
  /** Events not yet acknowledged by the log, in characters; beyond it the model's bytes are held back. */
  unacknowledgedChars: 1024 * 1024,
  /** Events that a live turn keeps in memory for its readers; who is further behind reads the log. */
  eventsInMemory: 4096,
} as const

/** Lifetimes in the store, ms. */
export const turnLifetimes = {
  /** A log outlives its turn by this much; later, positions are answered with a snapshot. */
  logMs: 60 * 60_000,
  /** A log that never ends (its producer and all successors lost) goes after this. */
  openLogMs: 24 * 60 * 60_000,
  /** The record with text and receipt. */
  turnMs: 30 * 24 * 60 * 60_000,
  idempotencyMs: 24 * 60 * 60_000,
  /** Our own calls and results beside a caller's, on `/v1`. */
  carriedCallsMs: 60 * 60_000,
} as const
