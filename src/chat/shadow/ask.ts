import type { Side } from '#config/shadow.ts'
import { asParleyError } from '#errors.ts'
import type { Segment, ToolCall } from '#models/answer.ts'
import type { Models } from '#models/models.ts'
import { turnLimits } from '../limits.ts'
import type { Copy } from './copy.ts'

/** Why a copy is given up: nothing is learned from it. */
export class GivenUp extends Error {
  override readonly name = 'GivenUp'
}

export interface Asked {
  spentUsd: number
  /** Calls that were made: one, or none. */
  segments: readonly Segment[]
  /** Undefined where it was given up. */
  answer:
    | { text: string; calls: readonly { action: string; arguments: string }[]; side: Omit<Side, 'calls'> }
    | undefined
}

/**
 * Asks the model once. The answer ends with the calls that it asks for: to go on, it would have to be told what came of them, and
 * all that follows from made-up results says nothing about the version. Never rejects.
 */
export async function ask(models: Pick<Models, 'answer'>, copy: Copy, signal: AbortSignal): Promise<Asked> {
  const { candidate, messages, parameters, timers } = copy
  const segments: Segment[] = []
  const figures = { characters: 0, inputTokens: 0, outputTokens: 0, costUsd: 0, firstTokenMs: null as number | null }
  try {
    const answer = await models.answer(
      {
        candidates: [candidate],
        timers,
        parameters,
        messages: () => messages,
        mode: 'text',
        signal,
      },
      {
        text: (text) => {
          figures.characters += text.length
        },
        seam: () => {},
        ended: (segment) => {
          segments.push(segment)
          figures.inputTokens += segment.inputTokens
          figures.outputTokens += segment.outputTokens
          figures.costUsd += segment.costUsd
          figures.firstTokenMs = segment.firstTokenMs ?? null
        },
      },
    )
    const { text, toolCalls } = answer
    const finish = answer.finish === 'tool_calls' && toolCalls.length === 0 ? 'stop' : answer.finish
    const side = { ...figures, characters: text.length, finish, failure: null }
    return { spentUsd: figures.costUsd, segments, answer: { text, calls: toolCalls.map(callOf), side } }
  } catch (error) {
    if (error instanceof GivenUp) return { spentUsd: figures.costUsd, segments, answer: undefined }
    const side = { ...figures, finish: null, failure: asParleyError(error).code }
    return { spentUsd: figures.costUsd, segments, answer: { text: '', calls: [], side } }
  }
}

function callOf({ name, arguments: text }: ToolCall) {
  return { action: name, arguments: text.slice(0, turnLimits.argumentChars) }
}
