import type { Segment } from '#models/answer.ts'
import type { Failovers, Usage } from './schema.ts'

/** The last fields of an answer: what all models that worked on it used, and which of them failed. */
export function accountOf(segments: readonly Segment[]): { usage: Usage; parley?: Failovers } {
  const sum = (of: (segment: Segment) => number) => segments.reduce((total, segment) => total + of(segment), 0)
  const prompt = sum((segment) => segment.inputTokens)
  const completion = sum((segment) => segment.outputTokens)
  const failed = segments.filter((segment) => segment.outcome === 'failed')
  const failovers = failed.map(({ model, reason = 'cut_off' }) => ({ model, reason }))
  return {
    usage: {
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
      prompt_tokens_details: { cached_tokens: sum((segment) => segment.cachedTokens) },
    },
    ...(failovers.length > 0 && { parley: { failovers, cost_usd: sum((segment) => segment.costUsd) } }),
  }
}
