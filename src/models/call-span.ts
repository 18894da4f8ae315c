import { CHAT, genAi, providerName } from '#telemetry/gen-ai.ts'
import type { Spans } from '#telemetry/spans.ts'
import type { Candidate, Segment } from './answer.ts'

/** Ends the span of a call with what it used. */
export type CallSpan = (segment: Segment) => void

/** Undefined where nobody listens. */
export function openCallSpan(
  spans: Spans,
  { name, spec }: Candidate,
  parent: string | undefined,
): CallSpan | undefined {
  if (!spans.areOn) return undefined
  const span = spans.open(`${CHAT} ${name}`, {
    parent,
    kind: 'client',
    attributes: {
      [genAi.operation]: CHAT,
      [genAi.provider]: providerName(spec.provider),
      [genAi.model]: name,
    },
  })
  return ({ inputTokens, outputTokens, outcome, reason }) =>
    span.end({
      attributes: { [genAi.inputTokens]: inputTokens, [genAi.outputTokens]: outputTokens },
      error: outcome === 'completed' ? undefined : (reason ?? outcome),
    })
}
