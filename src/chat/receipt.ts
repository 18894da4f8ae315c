import type { ConfigVersion } from '#config/document.ts'
import type { Progress } from './progress.ts'
import type { Receipt } from './turn-events.ts'
import type { TurnInput } from './turn-input.ts'

/** What the turn can prove, from where it stands at `endedAt` (ms since the epoch). */
export function receiptOf(
  input: TurnInput,
  config: ConfigVersion,
  progress: Progress,
  omittedMessages: number,
  endedAt: number,
): Receipt {
  const { segments } = progress
  const reported = (input.followUp?.runs ?? []).map(({ id, action, status }) => ({ id, action, status }))
  const sum = (of: (segment: (typeof segments)[number]) => number) =>
    segments.reduce((total, one) => total + of(one), 0)
  return {
    turn: input.turn,
    conversation: input.conversation,
    specialist: input.specialist,
    config: { version: config.name, hash: config.hash, arm: input.arm },
    segments: [...segments],
    runs: [...reported, ...progress.runs.values()],
    steps: progress.current.step + 1,
    inputTokens: sum((segment) => segment.inputTokens),
    outputTokens: sum((segment) => segment.outputTokens),
    costUsd: sum((segment) => segment.costUsd),
    ...(omittedMessages > 0 && { compaction: { omittedMessages } }),
    startedAt: new Date(input.startedAt).toISOString(),
    endedAt: new Date(endedAt).toISOString(),
  }
}
