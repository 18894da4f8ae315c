import { foresee } from '#actions/foresee.ts'
import type { ConfigVersion } from '#config/document.ts'
import type { Side } from '#config/shadow.ts'
import type { ChatMessage } from '#models/answer.ts'
import { turnLimits } from '../limits.ts'
import { hasStrangersWords } from '../taint.ts'
import type { TurnContext } from '../turn-context.ts'
import type { TurnInput } from '../turn-input.ts'

/** How a turn ended, as far as its copies care. */
export interface TurnEnd {
  status: 'completed' | 'cancelled' | 'failed'
  error?: { code: string }
}

/** The first answer of a served turn, and what was asked for it: all that a copy is made of. */
export interface FirstStep {
  input: TurnInput
  prompt: readonly ChatMessage[]
  text: string
  side: Side
}

/**
 * Only first answers are compared: what comes after them depends on what actions answered, and those of a copy are never done. So
 * both sides were asked the same.
 */
export function firstStepOf(turn: TurnContext, end: TurnEnd, now: number): FirstStep {
  const { input, config, prompt, progress } = turn
  const { text, finish, calls } = progress.steps[0] ?? progress.current
  const segments = progress.segments.filter(({ step }) => step === 0)
  const sum = (of: (segment: (typeof segments)[number]) => number) => segments.reduce((all, one) => all + of(one), 0)
  // What ends at the turn's own limit of text has no word of its model on it.
  const ended = finish ?? (end.status === 'completed' ? 'length' : null)
  return {
    input,
    prompt,
    text,
    side: {
      finish: ended,
      failure: ended === null ? (end.error?.code ?? 'internal') : null,
      characters: text.length,
      inputTokens: sum(({ inputTokens }) => inputTokens),
      outputTokens: sum(({ outputTokens }) => outputTokens),
      costUsd: sum(({ costUsd }) => costUsd),
      firstTokenMs: segments.find(({ outcome }) => outcome === 'completed')?.firstTokenMs ?? null,
      calls: judgeCalls({ input, prompt }, config, calls, now),
    },
  }
}

/** What would become of calls; on neither side what the model made up is looked at any further. */
export function judgeCalls(
  { input, prompt }: Pick<FirstStep, 'input' | 'prompt'>,
  config: ConfigVersion,
  calls: readonly { action: string; arguments: string }[],
  now: number,
): Side['calls'] {
  if (calls.length === 0) return []
  const untrusted = hasStrangersWords({ config, input, prompt, progress: { steps: [] } })
  const { specialist, principal, readOnly } = input
  return calls
    .slice(0, turnLimits.calls)
    .map((call) => foresee({ ...call, config, specialist, principal, readOnly, untrusted }, now))
}
