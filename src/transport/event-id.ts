import type { FastifyRequest } from 'fastify'
import { ParleyError } from '#errors.ts'

/** The id of an event on the wire: its turn, and its position in the turn's log. */
export interface EventId {
  turn: string
  position: number
}

const EVENT_ID = /^(turn_[0-9a-zA-Z]{1,64})\.(\d{1,15})$/
const POSITION = /^\d{1,15}$/

export function formatEventId(turn: string, position: number): string {
  return `${turn}.${position}`
}

/** Undefined when nothing was received yet; throws bad_position for what is no event id. */
export function lastEventIdOf({ headers }: FastifyRequest): EventId | undefined {
  const given = headers['last-event-id']
  return given === undefined || given === '' ? undefined : parseEventId(String(given), 'last-event-id')
}

/**
 * The position a reader of this turn wants to go on from, -1 for the start. The header is newer than `after`, because
 * EventSource repeats the address it was given at first.
 */
export function positionAfter(request: FastifyRequest, turn: string, after: string | undefined): number {
  const last = lastEventIdOf(request)
  if (last) return positionIn(turn, last, 'last-event-id')
  if (after === undefined) return -1
  return POSITION.test(after) ? Number(after) : positionIn(turn, parseEventId(after, 'after'), 'after')
}

export function parseEventId(text: string, param: string): EventId {
  const [, turn, position] = EVENT_ID.exec(text) ?? []
  if (turn === undefined) throw new ParleyError('bad_position', { message: 'This is not the id of an event.', param })
  return { turn, position: Number(position) }
}

export function positionIn(turn: string, id: EventId, param: string): number {
  if (id.turn !== turn) throw new ParleyError('bad_position', { param })
  return id.position
}
