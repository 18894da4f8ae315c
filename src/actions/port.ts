import type { ConfigVersion } from '#config/document.ts'
import type { Owner, Principal } from '#identity/principal.ts'

/** What the loop of a turn needs of actions, and all it knows of them. */
export interface ActionPort {
  /** The functions a specialist offers to its model, in OpenAI's shape. */
  tools(config: ConfigVersion, specialist: string): readonly FunctionTool[]
  /** Takes a call on. The same key again gives the same run, whatever its state; never rejects for what the caller or the model did wrong: such a run is `rejected` or `failed`, with the reason as output. */
  dispatch(call: ActionCall): Promise<Run>
  /**
   * Waits until the run is settled, as long as `patience` says; else returns it as it stands. `onChange` hears each status in
   * between. Rejects with the signal's reason when it aborts first; the run goes on.
   */
  settled(run: Run, patience: Patience, signal: AbortSignal, onChange: (run: Run) => void): Promise<Run>
  /** Withdraws the runs of a turn that have not started; started ones finish. With the database away that is made up for. Rejects with state_unavailable. */
  withdraw(turn: string): Promise<void>
  /** A turn was lost before it could say what came of its runs: that is reported later. Rejects with state_unavailable. */
  reportLater(owner: Owner, turn: string): Promise<void>
  /**
   * Runs that `settled` gave back unsettled leave a row when they settle after all, for any replica to report in a turn of
   * its own. Takes at most `limit` of them for `leaseMs`; who does not finish in time leaves them to others.
   */
  takeFollowUps(limit: number, leaseMs: number): Promise<FollowUp[]>
  /** It is reported, or there is nobody left to report to. */
  followUpDone(id: string): Promise<void>
  /** Hears that there may be follow-ups to take; best effort, who listens also polls. The result ends it. */
  onFollowUp(listener: () => void): () => void
}

/** How long a turn waits for a run, ms. */
export interface Patience {
  mostMs: number
  /** At a stretch, while the run waits for its user to sign in; as long as for anything else where absent. */
  identityMs?: number
}

/** The late results of one turn. */
export interface FollowUp {
  id: string
  turn: string
  conversation: string
  principal: Principal
  runs: readonly Run[]
}

export interface FunctionTool {
  type: 'function'
  function: { name: string; description: string; parameters: Readonly<Record<string, unknown>> }
}

export interface ActionCall {
  /** `turn/step/index`: makes the call once-only. */
  key: string
  turn: string
  conversation: string | undefined
  principal: Principal
  config: ConfigVersion
  /** Where its outcome is counted: see `Served`. */
  arm: 'stable' | 'canary'
  cohort: string
  unit: string
  specialist: string
  action: string
  /** JSON text of an object. */
  arguments: string
  /** No `write` action may run (turns started by GET). */
  readOnly: boolean
  /** Words of strangers are in the context: output of actions that is not trusted, or of the caller's own tools. */
  untrusted: boolean
  /** W3C trace context of the request that asked. */
  traceparent?: string | undefined
}

const underWay = ['requested', 'awaiting-approval', 'awaiting-identity', 'queued', 'running', 'retrying'] as const
const settled = [
  'succeeded',
  'failed',
  'rejected',
  'cancelled',
  'expired',
  'dead-lettered',
  'discarded',
  'unknown',
] as const
export const runStatuses = [...underWay, ...settled] as const

export type RunStatus = (typeof runStatuses)[number]

export interface Run {
  id: string
  key: string
  action: string
  status: RunStatus
  /** What the model is told: JSON text once succeeded, else a sentence it can act on. */
  output: string | undefined
  /** While it awaits approval: what is to be approved, by whom, until when (ms since the epoch). */
  approval?: { hash: string; roles: readonly string[]; expiresAt: number }
}

/** What a run comes to rest in; some of these a person can still move on. */
export const settledStatuses: ReadonlySet<RunStatus> = new Set(settled)

export function isSettled(run: Pick<Run, 'status'>): boolean {
  return settledStatuses.has(run.status)
}
