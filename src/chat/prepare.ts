import type { ConfigVersion } from '#config/document.ts'
import { ParleyError } from '#errors.ts'
import type { Candidate, ChatMessage, Segment } from '#models/answer.ts'
import { withCarriedCalls } from './carried-calls.ts'
import { joinUserMessages, saidIn, stepMessages } from './prompt.ts'
import type { ChatRoom, TurnContext } from './turn-context.ts'
import type { TurnInput } from './turn-input.ts'

/** The models of a specialist's route, in its order. Throws specialist_not_found. */
export function candidatesOf(config: ConfigVersion, specialist: string): Candidate[] {
  const spec = config.document.specialists[specialist]
  if (!spec) throw new ParleyError('specialist_not_found')
  return routeCandidates(config, spec.route)
}

export function routeCandidates({ document }: ConfigVersion, route: string): Candidate[] {
  return (document.routes[route]?.models ?? []).flatMap((name) => {
    const spec = document.models[name]
    return spec ? [{ name, spec }] : []
  })
}

/** Instructions, history and the user's message (or the report of late results), as every step of the turn begins. */
export async function promptOf(
  room: Pick<ChatRoom, 'kv' | 'conversations'>,
  input: TurnInput,
  config: ConfigVersion,
  history: readonly ChatMessage[],
): Promise<ChatMessage[]> {
  const instructions = config.document.specialists[input.specialist]?.instructions
  if (instructions === undefined) throw new ParleyError('specialist_not_found')
  const said: readonly ChatMessage[] = input.alone
    ? await withCarriedCalls(room, input.principal, input.alone.history)
    : joinUserMessages([...history, { role: 'user', content: saidIn(input) }])
  return [{ role: 'system', content: instructions }, ...said]
}

/**
 * The segment of a producer that died while its model spoke: nobody knows what the provider counted, so it is estimated
 * from the prompt and the text that reached the log. Undefined when nothing that did is unmetered.
 */
export async function lostSegment(turn: TurnContext): Promise<Segment | undefined> {
  const { room, input, progress, candidates, prompt } = turn
  const { text, metering, model } = progress.current
  const speaker = candidates.find((candidate) => candidate.name === model) ?? candidates[0]
  if (!metering || !speaker) return undefined
  const asked = [...prompt, ...progress.steps.flatMap((step) => stepMessages(input.turn, step))]
  const [inputTokens, outputTokens] = await Promise.all([
    room.counter.count(asked),
    room.counter.count([{ role: 'assistant', content: text }]),
  ])
  const { price, provider } = speaker.spec
  return {
    model: speaker.name,
    provider,
    inputTokens,
    cachedTokens: 0,
    outputTokens,
    costUsd: (inputTokens * price.input + outputTokens * price.output) / 1_000_000,
    estimated: true,
    outcome: 'failed',
    reason: 'producer_lost',
    durationMs: 0,
  }
}
