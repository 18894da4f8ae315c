import type { TurnEvent, TurnEvents, TurnEventType } from './turn-events.ts'

/** One append holds its events a line each: type, space, JSON (which never has a raw line break). */
export function encodeEvents(events: readonly TurnEvent[]): string {
  let body = ''
  for (const event of events) body += `${event.type} ${event.data}\n`
  return body
}

/** The events of one append, whose last one stands at `lastPosition`. */
export function decodeEvents(body: Buffer, lastPosition: number): TurnEvent[] {
  const lines = body.toString().split('\n')
  lines.pop()
  const first = lastPosition - lines.length + 1
  return lines.map((line, offset) => {
    const gap = line.indexOf(' ')
    return { position: first + offset, type: line.slice(0, gap) as TurnEventType, data: line.slice(gap + 1) }
  })
}

/** The data of an event known by its type. */
export function dataOf<Type extends TurnEventType>(event: TurnEvent<Type>): TurnEvents[Type] {
  return JSON.parse(event.data)
}
