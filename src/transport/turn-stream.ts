import type { FastifyReply } from 'fastify'
import type { Chat } from '#chat/chat.ts'
import type { Arm, TurnEvent } from '#chat/turn-events.ts'
import type { Principal } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import { servedHeaders } from './config-header.ts'
import { formatEventId } from './event-id.ts'
import type { EventStream } from './event-stream.ts'
import { asFault } from './faults.ts'
import { openResumableStream, renderNotice } from './sse.ts'

/** Which turn is read, as whom, and after which position (-1 for all of it). */
export interface TurnReading {
  principal: Principal
  turn: string
  /** The config version that serves it, and its arm. */
  config: string
  arm: Arm
  after: number
}

export function openTurnStream(
  reply: FastifyReply,
  reading?: Pick<TurnReading, 'turn' | 'config' | 'arm'>,
): EventStream {
  const headers = reading && { 'x-parley-turn': reading.turn, ...servedHeaders(reading) }
  return openResumableStream(reply, headers)
}

/** Sends the turn's events until its end or the reader's. Leaves the turn itself alone. */
export async function relayTurn(chat: Chat, reading: TurnReading, stream: EventStream, log: Log): Promise<void> {
  const { principal, turn, after } = reading
  try {
    for await (const events of chat.read(principal, turn, after, stream.closed)) {
      stream.write(renderEvents(turn, events))
      if (stream.needsDrain) await stream.drained()
    }
  } catch (error) {
    if (!stream.closed.aborted) {
      const fault = asFault(error)
      if (fault.code === 'internal') log.error({ turn, err: fault.cause }, 'Reading a turn failed')
      stream.write(renderNotice(fault))
    }
  }
  stream.end()
}

/** Positions are missing while the log is out of reach; such an event has no id, so a reconnect asks for it again. */
function renderEvents(turn: string, events: readonly TurnEvent[]): string {
  let text = ''
  for (const { position, type, data } of events) {
    if (position !== undefined) text += `id: ${formatEventId(turn, position)}\n`
    text += `event: ${type}\ndata: ${data}\n\n`
  }
  return text
}
