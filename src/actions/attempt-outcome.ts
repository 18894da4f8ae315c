import { isErased, isUnreadable } from '#conversations/erased.ts'
import { CorrectableError, IdentityNeeded, PassingError } from './executors/executor.ts'
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
  /** When it was asked for. */
  createdAt: number
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
  approval?: RunApproval
  /** A fault on our side, for the log. */
  fault: unknown
}

const RESULT_BYTES = 1024 * 1024
const BACK_OFF = { firstMs: 1000, maxMs: 60_000, askedMaxMs: 600_000 }
const HELD_RETRY_MS = 5000
const IDENTITY_PATIENCE_MS = 24 * 60 * 60_000
const KEY_PATIENCE_MS = 24 * 60 * 60_000

/**
 * What follows from an attempt:
 *
 * result ──▸ succeeded · too large ──▸ failed
 * the caller can put it right, or we are at fault ──▸ failed
 * it may pass ──▸ retrying, with back-off and full jitter; after the last attempt ──▸ dead-lettered
 * it may pass, but the effect may have begun and must not be tried twice ──▸ unknown
 * its approval no longer holds ──▸ awaiting-approval
 * it is stopped ──▸ retrying, uncounted, as long as it is
 * not begun, and its key cannot be had here ──▸ retrying, uncounted for a day; then as what may pass
 * no identity ──▸ awaiting-identity · it can never succeed ──▸ dead-lettered, at once
 */
export function consequenceOf(attempted: Attempted, facts: AttemptFacts): Consequence {
  if ('impossible' in attempted) return ended('dead-lettered', 'failed', attempted.impossible)
  if ('unapproved' in attempted) {
    const { unapproved: approval } = attempted
    const wait = { dueAt: approval.expiresAt, uncounted: true, approval }
    return { ...ended('awaiting-approval', 'passing', 'approval_outdated'), ...wait }
  }
  if ('held' in attempted) return held(attempted.held, facts)
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
  if (thrown instanceof IdentityNeeded) {
    const dueAt = (facts.userMissingSince ?? facts.now) + IDENTITY_PATIENCE_MS
    return { ...ended('awaiting-identity', 'passing', 'awaiting_identity'), dueAt, uncounted: true }
  }
  if (isUnreadable(thrown) && !facts.began) return unreadable(facts)
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

function held(reason: string, { now }: AttemptFacts): Consequence {
  const retryAt = now + HELD_RETRY_MS
  return { ...ended('retrying', 'passing', reason), retryAt, dueAt: retryAt + UNSENT_AFTER_MS, uncounted: true }
}

/** Another replica may have the key, or this one soon. What is damaged looks the same, and must come to an end. */
function unreadable(facts: AttemptFacts): Consequence {
  const { attempt, maxAttempts, createdAt, now } = facts
  if (now < createdAt + KEY_PATIENCE_MS) return held('sealed_unreadable', facts)
  // With words of its own it could not be ended: they would have to be sealed with that key.
  if (attempt >= maxAttempts) return ended('dead-lettered', 'failed', 'sealed_unreadable')
  return passing(facts, 'sealed_unreadable', undefined, true, undefined)
}

function ended(
  status: Consequence['status'],
  how: Consequence['ended'],
  reason: string | null,
  output?: string,
): Consequence {
  return { status, ended: how, reason, output, dueAt: null, retryAt: undefined, uncounted: false, fault: undefined }
}
