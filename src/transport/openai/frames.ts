import type { ParleyError } from '#errors.ts'
import type { Segment } from '#models/answer.ts'
import type { Wire } from '#models/chunk-reader.ts'
import { accountOf } from './usage.ts'

/** The frames that a stream has of our own. */

export const DONE = 'data: [DONE]\n\n'

/** The last chunk, for who asked for it: no choices, but what the answer cost. */
export function usageFrame({ id, created, model }: Wire, segments: readonly Segment[]): string {
  const chunk = { id, object: 'chat.completion.chunk', created, model, choices: [], ...accountOf(segments) }
  return `data: ${JSON.stringify(chunk)}\n\n`
}

/** Instead of all that should have followed; no `[DONE]` comes after it. */
export function errorFrame(fault: ParleyError, requestId: string): string {
  return `data: ${JSON.stringify(fault.toBody(requestId))}\n\n`
}
