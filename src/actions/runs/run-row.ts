import { isCounted } from '#config/assigning.ts'
import type { RunStatus } from '../port.ts'

/** A run as its row has it; what is sealed is read through `RunSeals`. Times in ms since the epoch. */
export interface RunRow {
  id: string
  seq: number
  tenant: string
  owner: string
  key: string
  argumentsHash: string
  /** Of the arguments before any edit: what the key was given for. */
  askedHash: string
  action: string
  config: string
  /** Where its outcome is counted: see `Served`. */
  arm: 'stable' | 'canary'
  cohort: string
  unit: string
  specialist: string | null
  conversation: string | null
  turn: string | null
  status: RunStatus
  version: number
  revision: number
  /** It waits its turn among the ordered runs of its conversation. */
  waiting: boolean
  ordered: boolean
  /** Its effect must not be tried twice. */
  once: boolean
  attempt: number
  maxAttempts: number
  fence: number
  /** The effect may have begun: of a run that must not be tried twice, by the present attempt; of others, by any. */
  began: boolean
  /** When somebody must look after it. */
  dueAt: number | null
  input: Buffer
  outcome: Buffer | null
  preview: Buffer | null
  reason: string | null
  approval: RunApproval | null
  /** Since when its user's identity could not be had. */
  userMissingSince: number | null
  /** Since when its attempts fail for what is out of reach and no fault of its own. */
  heldSince: number | null
  followUp: boolean
  /** The run that it undoes. */
  undoes: string | null
  traceparent: string | null
  createdAt: number
  updatedAt: number
  settledAt: number | null
}

/** A run that is not begun by then may not have been sent for: it is, with the same message, which a broker that has it passes over. */
export const UNSENT_AFTER_MS = 5000
/** After that, a run that is not begun by then is sent for with another message. */
export const RESEND_AFTER_MS = 60_000
/** See `toldAnewAt`. */
export const TOLD_ANEW_AFTER_MS = 60_000

/** It was called off before it began, and nobody can move it on. */
export function isNeverDone({ status }: Pick<RunRow, 'status'>): boolean {
  return status === 'rejected' || status === 'cancelled' || status === 'expired'
}

/** What is to be decided, and what was. */
export interface RunApproval {
  roles: string[]
  ownAllowed: boolean
  editable: string[]
  because: 'rule' | 'untrusted'
  expiresAt: number
  decision: 'approved' | 'rejected' | null
  decidedBy: { id: string; name: string } | null
  decidedAt: number | null
}

/**
 * When what came of a run is told once more, since whoever settled it may not have lived to tell: then its row is looked after
 * for the last time. Null where nobody counts it.
 */
export function toldAnewAt(row: Pick<RunRow, 'cohort'>, settledAt: number): number | null {
  return isCounted(row) ? settledAt + TOLD_ANEW_AFTER_MS : null
}

/** The columns, under the names of `RunRow`. */
export const RUN_COLUMNS = `r.id, r.seq, r.tenant, r.owner, r.key, r.arguments_hash AS "argumentsHash",
  r.asked_hash AS "askedHash", r.action, r.config, r.arm, r.cohort,
  coalesce(r.unit, r.conversation, r.turn, r.id) AS unit,
  r.specialist, r.conversation, r.turn, r.status, r.version, r.revision, r.waiting, r.ordered, r.once, r.attempt,
  r.max_attempts AS "maxAttempts", r.fence, r.began, r.due_at AS "dueAt", r.input, r.outcome, r.preview, r.reason,
  r.approval, r.follow_up AS "followUp", r.undoes, r.traceparent, r.created_at AS "createdAt", r.updated_at AS "updatedAt",
  r.settled_at AS "settledAt", r.user_missing_since AS "userMissingSince", r.held_since AS "heldSince"`
