import type { ConfigVersion } from '#config/document.ts'
import type { Principal } from '#identity/principal.ts'

/** What the loop of a turn needs of actions, and all it knows of them. */
export interface ActionPort {
  /** The functions a specialist offers to its model, in OpenAI's shape. */
  tools(config: ConfigVersion, specialist: string): readonly FunctionTool[]
  /** Takes a call on. The same key again gives the same run, whatever its state; never rejects for what the caller or the model did wrong: such a run is `rejected` or `failed`, with the reason as output. */
  dispatch(call: ActionCall): Promise<Run>
  /**
   * Waits until the run is settled, at most `waitMs`; else returns it as it stands. `onChange` hears each status in
   * between. Rejects with the signal's reason when it aborts first; the run goes on.
   */
  settled(run: Run, waitMs: number, signal: AbortSignal, onChange: (run: Run) => void): Promise<Run>
  /** Withdraws the runs of a turn that have not started; started ones finish. */
  withdraw(turn: string): Promise<void>
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
  specialist: string
  action: string
  /** JSON text of an object. */
  arguments: string
  /** No `write` action may run (turns started by GET). */
  readOnly: boolean
}

export type RunStatus =
  | 'requested'
  | 'awaiting-approval'
  | 'awaiting-identity'
  | 'queued'
  | 'running'
  | 'retrying'
  | 'succeeded'
  | 'failed'
  | 'rejected'
  | 'cancelled'
  | 'expired'
  | 'dead-lettered'
  | 'discarded'
  | 'unknown'

export interface Run {
  id: string
  key: string
  action: string
  status: RunStatus
  /** What the model is told: JSON text once succeeded, else a sentence it can act on. */
  output: string | undefined
}

const SETTLED: ReadonlySet<RunStatus> = new Set([
  'succeeded',
  'failed',
  'rejected',
  'cancelled',
  'expired',
  'dead-lettered',
  'discarded',
  'unknown',
])

export function isSettled(run: Pick<Run, 'status'>): boolean {
  return SETTLED.has(run.status)
}
