import { ParleyError } from '#errors.ts'
import { stopError } from '#governance/stops.ts'
import type { Candidate, Vetoes } from '#models/answer.ts'
import type { ChatRoom } from './turn-context.ts'

/** Without the models that operators have stopped. Throws killed when that leaves none. */
export function notStopped(candidates: readonly Candidate[], stops: ChatRoom['stops']): readonly Candidate[] {
  const left = candidates.filter(({ name }) => !stops?.found({ model: name }))
  if (left.length === 0 && candidates.length > 0) throw new ParleyError('killed')
  return left
}

/** The same for whoever is asked: an answer ends as killed when its model is stopped. */
export function vetoesOf({ found, onChange }: NonNullable<ChatRoom['stops']>): Vetoes {
  return {
    of(model) {
      const stop = found({ model })
      return stop && stopError(stop)
    },
    onChange,
  }
}
