import type { CallFigures, EndedTurn, SettledRun, SpentSegment } from './facts.ts'
import { CHAT, genAi, providerName } from './gen-ai.ts'
import type { Instruments } from './instruments.ts'

/** Above so many tokens a second, a call did not stream: it came at once, and tells nothing of speed. */
const FASTEST = 10_000

/** Everything that is recorded of a turn, once, at its end. */
export function recordTurn({ add, record }: Instruments, turn: EndedTurn): void {
  const { config, arm, status, code, addressee, firstTokenMs } = turn
  const served = { config, arm }
  add('parley_turns_total', 1, { ...served, addressee, status, ...(code !== null && { [genAi.errorType]: code }) })
  record('parley_turn_duration_seconds', Math.max(0, turn.endedAt - turn.startedAt) / 1000, {
    ...served,
    addressee,
    status,
  })
  if (firstTokenMs !== null) record('ai_first_token_duration_ms', firstTokenMs, { ...served, addressee })
  for (const segment of turn.segments) recordSegment({ add, record }, segment, served)
}

function recordSegment(
  { add, record }: Instruments,
  segment: SpentSegment,
  served: { config: string; arm: string },
): void {
  const { model, inputTokens, outputTokens, costUsd, call } = segment
  add('ai_tokens_total', inputTokens, { ...served, model, direction: 'input' })
  add('ai_tokens_total', outputTokens, { ...served, model, direction: 'output' })
  add('ai_cost_total', costUsd, { ...served, model })
  if (!call) return
  const { firstTokenMs, durationMs } = call
  const asked = {
    ...served,
    [genAi.operation]: CHAT,
    [genAi.provider]: providerName(call.provider),
    [genAi.model]: model,
  }
  const errorType = errorTypeOf(call)
  record(genAi.duration, durationMs / 1000, { ...asked, ...(errorType && { [genAi.errorType]: errorType }) })
  record(genAi.tokenUsage, inputTokens, { ...asked, [genAi.tokenType]: 'input' })
  record(genAi.tokenUsage, outputTokens, { ...asked, [genAi.tokenType]: 'output' })
  if (firstTokenMs === undefined) return
  record(genAi.timeToFirstChunk, firstTokenMs / 1000, asked)
  if (outputTokens < 2) return
  const betweenMs = Math.max(0, durationMs - firstTokenMs) / (outputTokens - 1)
  if (betweenMs < 1000 / FASTEST) return
  record(genAi.timePerOutputChunk, betweenMs / 1000, asked)
  record('ai_inter_token_duration_ms', betweenMs, { ...served, model })
  record('ai_tokens_per_second', 1000 / betweenMs, { ...served, model })
}

function errorTypeOf({ outcome, reason }: CallFigures): string | undefined {
  return outcome === 'completed' ? undefined : (reason ?? outcome)
}

/** A model may call what is no action at all, so names that no config has are counted as one. */
export function recordRun({ add }: Instruments, run: SettledRun, isAction: (name: string) => boolean): void {
  const { action, status, reason, config, arm } = run
  const name = isAction(action) ? action : 'unknown'
  add('parley_runs_settled_total', 1, { action: name, status, config, arm, ...(reason !== null && { reason }) })
}
