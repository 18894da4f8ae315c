import { ParleyError } from '#errors.ts'
import type { Candidate } from '#models/answer.ts'
import type { ChatRoom } from './turn-context.ts'

/** Without the models that operators have stopped. Throws killed when that leaves none. */
export function notStopped(candidates: readonly Candidate[], stops: ChatRoom['stops']): readonly Candidate[] {
  const left = candidates.filter(({ name }) => !stops?.found({ model: name }))
  if (left.length === 0 && candidates.length > 0) throw new ParleyError('killed')
  return left
}
