import type { ConfigVersion } from '#config/document.ts'
import type { LimitFigures } from '#errors.ts'
import type { Owner, Principal } from '#identity/principal.ts'
import type { ActionPort, RunStatus } from './port.ts'

/** The public face of `actions/`. A run belongs to the principal it is done for; approvers of the tenant see it too. */
export interface Actions extends ActionPort {
  /** The actions of a version that the caller may call, by name. */
  catalogue(principal: Principal, config: ConfigVersion): ActionView[]

  /**
   * Takes on an action without a chat, of the version that the run is served from: row first, then the queue. The same `key` (Idempotency-Key, 24 h) with the same arguments
   * gives the same run. Rejects with action_not_found, arguments_invalid, forbidden, idempotency_mismatch, runs_full,
   * database_unavailable; and as all that begins here, with rate_limited, killed, budget_exceeded.
   */
  start(principal: Principal, request: StartRequest, onLimits?: OnLimits): Promise<RunView>

  /** Rejects with run_not_found: also for what belongs to somebody else, unless the caller may decide on it. */
  get(principal: Principal, run: string): Promise<RunView>
  /** Newest first, 1 to 100. `whose`: the caller's own, those that wait for the caller's approval, or (Admin) the tenant's. */
  list(principal: Principal, page: RunPage): Promise<{ items: RunView[]; next: string | null }>
  /** The run now, and at each change, until it is settled. */
  follow(principal: Principal, run: string, signal: AbortSignal): AsyncIterable<RunView>

  /** By the hash of what is approved; `edited` fields make a new revision, which goes through all rules again. Rejects with run_not_found, forbidden, run_state, approval_changed, arguments_invalid. */
  approve(
    principal: Principal,
    run: string,
    decision: { hash: string; edited?: Readonly<Record<string, unknown>> },
  ): Promise<RunView>
  reject(principal: Principal, run: string, reason: string): Promise<RunView>
  /** The owner's: a run that has not started. Rejects with run_not_found, run_state. */
  cancel(principal: Principal, run: string): Promise<RunView>
  /** Another try for a dead-lettered or failed run, under the same key towards its target. Admin or Action.Approver. */
  replay(principal: Principal, run: string, onLimits?: OnLimits): Promise<RunView>
  /** Every dead-lettered run of the tenant that fits, newest first, at most `limit`; also told when it could not go on in the middle. */
  replayAll(principal: Principal, filter: ReplayFilter, onLimits?: OnLimits): Promise<ReplayedRuns>
  /** A dead-lettered run nobody wants any more. */
  discard(principal: Principal, run: string, reason: string): Promise<RunView>
  /** Says what became of an `unknown` run. */
  settle(principal: Principal, run: string, outcome: { status: 'succeeded' | 'failed'; note: string }): Promise<RunView>

  /**
   * Calls the action that undoes a succeeded run, once: asked again it is the same run, unless that one was rejected, cancelled
   * or expired. By the run's owner, Admin or Action.Approver, and done for whoever asks. Rejects with run_not_found, forbidden,
   * run_state, arguments_invalid, runs_full.
   */
  undo(principal: Principal, run: string, traceparent: string | undefined, onLimits?: OnLimits): Promise<RunView>

  /** A user came with an identity that can be lent, or another token was had for it: runs that wait for it are tried again; how many. */
  userIsBack(user: Owner): Promise<number>

  /** Takes on nothing new; what this replica executes gets `graceMs`, then goes back to the queue. */
  drain(graceMs: number): Promise<void>
}

/** Hears what is left to a caller who is under limits. */
export type OnLimits = (limits: LimitFigures) => void

export interface ActionView {
  name: string
  description: string
  parameters: Readonly<Record<string, unknown>>
  access: 'read' | 'write'
  effect: 'idempotent' | 'at-most-once'
  order: 'none' | 'conversation'
  /** Whether some call of it needs approval. */
  approval: boolean
  /** Whether there is an action that undoes it. */
  undo: boolean
}

export interface StartRequest {
  action: string
  arguments: Readonly<Record<string, unknown>>
  key: string | undefined
  traceparent: string | undefined
}

export interface ReplayFilter {
  action?: string
  /** The stable code. */
  reason?: string
  limit: number
}

export interface ReplayedRuns {
  replayed: number
  /** There may be more that fit: whoever asks again goes on with them. */
  more: boolean
}

export interface RunPage {
  limit: number
  cursor?: string
  whose: 'mine' | 'to-approve' | 'tenant'
  status?: RunStatus
  action?: string
}

/** A run as it stands. Times in ms since the epoch. */
export interface RunView {
  id: string
  action: string
  status: RunStatus
  /** Raised by each change. */
  version: number
  /** Raised by each edit of the arguments; 1 at first. */
  revision: number
  arguments: Readonly<Record<string, unknown>>
  /** SHA-256 of the canonical arguments, hexadecimal: what an approval names. */
  argumentsHash: string
  /** What it answered, once succeeded. */
  result: unknown
  /** It is too large for a list; `get` has it. */
  resultLeftOut: boolean
  /** Why it stands where it stands, as a stable code: `arguments_invalid`, `timeout`, `MaxDeliveryCountExceeded`, … */
  reason: string | null
  /** The same as a sentence. */
  message: string | null
  owner: { id: string; name: string }
  specialist: string | null
  conversation: string | null
  turn: string | null
  config: string
  approval: ApprovalView | null
  attempts: AttemptView[]
  maxAttempts: number
  /** The run of the conversation that it waits for. */
  blockedBy: string | null
  /** The run that it undoes. */
  undoes: string | null
  /** The run that undoes it, or is to. */
  undoneBy: string | null
  createdAt: number
  updatedAt: number
  settledAt: number | null
  /** When it is tried again, or expires. */
  dueAt: number | null
}

export interface ApprovalView {
  roles: readonly string[]
  ownAllowed: boolean
  expiresAt: number
  editable: readonly string[]
  /** Why it is needed: `rule`, or `untrusted` (strangers' words are in the context). */
  because: 'rule' | 'untrusted'
  /** What would happen, as its target says; null where it offers no dry run. */
  preview: unknown
  decidedBy: { id: string; name: string } | null
  decidedAt: number | null
  decision: 'approved' | 'rejected' | null
}

export interface AttemptView {
  number: number
  startedAt: number
  endedAt: number | null
  outcome: 'succeeded' | 'failed' | 'passing' | 'lost' | null
  reason: string | null
}
