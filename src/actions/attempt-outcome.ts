import { isErased, isUnreadable } from '#conversations/erased.ts'
import { AnswerLostError, CorrectableError, IdentityNeeded, PassingError } from './executors/executor.ts'
import { type Reason, reasons } from './reasons.ts'
import { type RunApproval, UNSENT_AFTER_MS } from './runs/run-row.ts'

/** What an attempt came to, as the executor left it. */
type Impossible = Extract<
  Reason,
  'unknown_action' | 'arguments_invalid' | 'role_missing' | 'user_missing' | 'key_scope' | 'key_ended'
>

export type Attempted =
  | { result: string }
  | { thrown: unknown; timedOut: boolean }
  /** Before anything was executed. */
  | { impossible: Impossible }
  /** What it needs before its effect can begin is out of reach: a code of an error. */
  | { away: string }
  /** Somebody has stopped it, for now. */
  | { held: 'stopped' }
  /** Its approval no longer holds: what is to be decided anew. */
  | { unapproved: RunApproval }

export interface AttemptFacts {
  attempt: number
  maxAttempts: number
  /** Its effect must not be tried twice. */
  once: boolean
  /** The effect may have begun. */
  began: boolean
  /** Since when what it needs cannot be had; null where the attempt before went further. */
  heldSince: number | null
  /** Since when its user's identity could not be had. */
  userMissingSince: number | null
  now: number
  /** From 0 to 1, for the jitter. */
  random: number
}

export interface Consequence {
  status: 'succeeded' | 'failed' | 'unknown' | 'dead-lettered' | 'retrying' | 'awaiting-identity' | 'awaiting-approval'
  ended: 'succeeded' | 'failed' | 'passing'
  reason: string | null
  /** What the model is told; the sentence of the reason where undefined. */
  output: string | undefined
  dueAt: number | null
  /** When to try again, ms since the epoch. */
  retryAt: number | undefined
  uncounted: boolean
  /** It waits for what cannot be had, and for how long that was so is kept. */
  away?: boolean
  approval?: RunApproval
  /** A fault on our side, for the log. */
  fault: unknown
}

const RESULT_BYTES = 1024 * 1024
const BACK_OFF = { firstMs: 1000, maxMs: 60_000, askedMaxMs: 600_000 }
const HELD_RETRY_MS = 5000
const IDENTITY_PATIENCE_MS = 24 * 60 * 60_000
/** How long a run waits for what is out of reach without that counting against it, and between two looks for it. */
const AWAY_PATIENCE_MS = 24 * 60 * 60_000
const AWAY_RETRY = { leastMs: 1000, mostMs: 60_000 }

/**
 * What follows from an attempt:
 *
 * result ──▸ succeeded · too large ──▸ failed
 * the caller can put it right, or we are at fault ──▸ failed
 * its answer cannot be used ──▸ failed; unknown, where the effect may have begun and must not be tried twice
 * it may pass ──▸ retrying, with back-off and full jitter; after the last attempt ──▸ dead-lettered
 * it may pass, but the effect may have begun and must not be tried twice ──▸ unknown
 * its approval no longer holds ──▸ awaiting-approval
 * it is stopped ──▸ retrying, uncounted, as long as it is
 * not begun, and its key cannot be had here, or the store of keys, versions or runs not at all ──▸ retrying, uncounted for a
 *   day; then as what may pass
 * no identity ──▸ awaiting-identity · it can never succeed ──▸ dead-lettered, at once
 */
export function consequenceOf(attempted: Attempted, facts: AttemptFacts): Consequence {
  if ('impossible' in attempted) return ended('dead-lettered', 'failed', attempted.impossible)
  if ('unapproved' in attempted) {
    const { unapproved: approval } = attempted
    const wait = { dueAt: approval.expiresAt, uncounted: true, approval }
    return { ...ended('awaiting-approval', 'passing', 'approval_outdated'), ...wait }
  }
  if ('held' in attempted) return held(attempted.held, facts.now + HELD_RETRY_MS)
  if ('away' in attempted) return outOfReach(attempted.away, facts)
  if ('result' in attempted) {
    if (Buffer.byteLength(attempted.result) > RESULT_BYTES) {
      // It took place all the same, and nobody is to be led to try it again.
      return ended(facts.once && facts.began ? 'unknown' : 'failed', 'failed', 'result_too_large')
    }
    return ended('succeeded', 'succeeded', null, attempted.result)
  }
  const { thrown, timedOut } = attempted
  if (timedOut) return passing(facts, 'timeout', undefined, false, undefined)
  if (thrown instanceof PassingError) {
    return passing(facts, codeOf(thrown.reason), thrown.retryAfterMs, thrown.untouched, thrown.message)
  }
  if (thrown instanceof CorrectableError) return ended('failed', 'failed', 'target_refused', thrown.message)
  if (thrown instanceof AnswerLostError) {
    return ended(facts.once && facts.began ? 'unknown' : 'failed', 'failed', 'answer_lost', thrown.message)
  }
  if (thrown instanceof IdentityNeeded) {
    const dueAt = (facts.userMissingSince ?? facts.now) + IDENTITY_PATIENCE_MS
    return { ...ended('awaiting-identity', 'passing', 'awaiting_identity'), dueAt, uncounted: true }
  }
  if (isUnreadable(thrown) && !facts.began) return outOfReach('sealed_unreadable', facts)
  const isGone = isErased(thrown)
  const reason = isGone ? 'erased' : 'internal'
  const how =
    facts.once && facts.began ? ended('unknown', 'failed', 'effect_unknown') : ended('failed', 'failed', reason)
  return { ...how, fault: isGone ? undefined : thrown }
}

/** Full jitter: anywhere from now to the bound, which doubles with each attempt; no sooner than the target asked for. */
export function retryDelayMs(attempt: number, askedMs: number | undefined, random: number): number {
  const bound = Math.min(BACK_OFF.maxMs, BACK_OFF.firstMs * 2 ** Math.max(0, attempt - 1))
  return Math.max(Math.min(askedMs ?? 0, BACK_OFF.askedMaxMs), Math.ceil(bound * random))
}

/** The database takes no NUL, and a log no line break. */
function codeOf(reason: string): string {
  return reason.slice(0, 64).replace(/[^\x20-\x7e]/g, '?')
}

function passing(
  { attempt, maxAttempts, once, began, now, random }: AttemptFacts,
  reason: string,
  askedMs: number | undefined,
  untouched: boolean,
  message: string | undefined,
): Consequence {
  if (once && began && !untouched) return ended('unknown', 'failed', 'effect_unknown')
  if (attempt >= maxAttempts) return ended('dead-lettered', 'failed', reason, message ?? reasons.timeout)
  const retryAt = now + retryDelayMs(attempt, askedMs, random)
  return { ...ended('retrying', 'passing', reason), retryAt, dueAt: retryAt + UNSENT_AFTER_MS }
}

function held(reason: string, retryAt: number): Consequence {
  return { ...ended('retrying', 'passing', reason), retryAt, dueAt: retryAt + UNSENT_AFTER_MS, uncounted: true }
}

/**
 * Nothing is wrong with the run: what is away may be had again, or on another replica. A key that is missing looks like what is
 * damaged, though, and must come to an end.
 */
function outOfReach(reason: string, facts: AttemptFacts): Consequence {
  const { attempt, maxAttempts, heldSince, now, random } = facts
  const heldForMs = now - (heldSince ?? now)
  if (heldForMs < AWAY_PATIENCE_MS) {
    const bound = Math.min(Math.max(heldForMs, AWAY_RETRY.leastMs), AWAY_RETRY.mostMs)
    return { ...held(reason, now + Math.ceil((bound * (1 + random)) / 2)), away: true }
  }
  // With words of its own it could not be ended: they would have to be sealed with that key.
  const how =
    attempt >= maxAttempts
      ? ended('dead-lettered', 'failed', reason)
      : passing(facts, reason, undefined, true, undefined)
  return { ...how, away: true }
}

function ended(
  status: Consequence['status'],
  how: Consequence['ended'],
  reason: string | null,
  output?: string,
): Consequence {
  return { status, ended: how, reason, output, dueAt: null, retryAt: undefined, uncounted: false, fault: undefined }
}
