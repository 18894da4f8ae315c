import type { Candidate, ChatMessage, FailureReason, Segment } from './answer.ts'
import type { Usage } from './chunk-reader.ts'
import { toTenths } from './latency.ts'
import type { ModelSpec } from './schema.ts'

export interface TokenCounter {
  countTokens(text: string): Promise<number>
  countMessages(messages: readonly ChatMessage[]): Promise<number>
}

/** What a call of a model leaves behind for its bill. */
export interface Consumption {
  candidate: Candidate
  outcome: Segment['outcome']
  reason: FailureReason | undefined
  /** As the provider reported it. */
  usage: Usage | undefined
  /** The provider took the prompt on (it answered with 200): then it is paid for, whatever came of it. */
  accepted: boolean
  messages: readonly ChatMessage[]
  tools: unknown
  /** All text and tool calls that came, also what nobody saw. */
  output(): string
  firstTokenMs: number | undefined
  durationMs: number
}

/** The provider's own count where it gave one, else ours. Never rejects: a segment must not get lost. */
export async function meter(consumption: Consumption, counter: TokenCounter): Promise<Segment> {
  const { candidate, outcome, reason, firstTokenMs, durationMs } = consumption
  const estimated = consumption.usage === undefined && consumption.accepted
  const usage = consumption.usage ?? (await estimate(consumption, counter))
  return {
    model: candidate.name,
    provider: candidate.spec.provider,
    inputTokens: usage.prompt,
    cachedTokens: usage.cached,
    outputTokens: usage.completion,
    costUsd: costUsd(usage, candidate.spec.price),
    estimated,
    outcome,
    ...(reason && { reason }),
    ...(firstTokenMs !== undefined && { firstTokenMs: toTenths(firstTokenMs) }),
    durationMs: toTenths(durationMs),
  }
}

function costUsd({ prompt, cached, completion }: Usage, price: ModelSpec['price']): number {
  const fresh = Math.max(0, prompt - cached)
  return (fresh * price.input + cached * (price.cachedInput ?? price.input) + completion * price.output) / 1_000_000
}

async function estimate(consumption: Consumption, counter: TokenCounter): Promise<Usage> {
  const { accepted, messages, tools, output } = consumption
  if (!accepted) return { prompt: 0, cached: 0, completion: 0 }
  const toolsText = tools === undefined ? '' : JSON.stringify(tools)
  const text = output()
  try {
    const [prompt, forTools, completion] = await Promise.all([
      counter.countMessages(messages),
      counter.countTokens(toolsText),
      counter.countTokens(text),
    ])
    return { prompt: prompt + forTools, cached: 0, completion }
  } catch {
    const tokens = (some: string) => Math.ceil(some.length / 4)
    return { prompt: tokens(JSON.stringify(messages) + toolsText), cached: 0, completion: tokens(text) }
  }
}
