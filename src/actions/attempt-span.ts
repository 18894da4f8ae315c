import { EXECUTE_TOOL, genAi } from '#telemetry/gen-ai.ts'
import type { Spans } from '#telemetry/spans.ts'
import type { RunRow } from './runs/run-row.ts'

export interface AttemptSpan {
  /** What the target is told. */
  readonly traceparent: string | undefined
  /** The first word counts: what comes after it is about an attempt that is over. */
  ended(status: string, reason: string | null): void
}

/** An attempt of a run belongs to the trace of who asked for it, however much later it is made. */
export function openAttemptSpan(
  spans: Spans,
  { id, action, attempt, config, arm }: RunRow,
  parent: string | undefined,
): AttemptSpan {
  const attributes = {
    [genAi.operation]: EXECUTE_TOOL,
    [genAi.tool]: action,
    'parley.run': id,
    'parley.run.attempt': attempt,
    'parley.config': config,
    'parley.arm': arm,
  }
  const span = spans.open(`${EXECUTE_TOOL} ${action}`, { parent, kind: 'consumer', attributes })
  let isOver = false
  return {
    traceparent: span.traceparent,
    ended(status, reason) {
      if (isOver) return
      isOver = true
      const error = status === 'succeeded' ? undefined : (reason ?? status)
      span.end({ attributes: { 'parley.run.status': status }, error })
    },
  }
}
