import { dataOf } from '#chat/event-codec.ts'
import { isTerminal, type TurnEvent, type TurnEvents } from '#chat/turn-events.ts'
import { asParleyError, ParleyError } from '#errors.ts'
import type { Wire } from '#models/chunk-reader.ts'
import { servedHeaders } from '../config-header.ts'
import { recallFault } from '../faults.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { limitHeaders } from '../limit-headers.ts'
import type { CompletionCall } from './completion-call.ts'

/** The turn that answers a request. */
export interface RequestTurn {
  id: string
  /** From the first to the terminal one, or until the response is over. */
  events: AsyncIterable<readonly TurnEvent[]>
}

/** Starts the turn; it is cancelled when nobody reads it any more before it has ended, since nobody can come back to it here. */
export async function openTurn(call: CompletionCall): Promise<RequestTurn> {
  const { chat, principal, reply, over, log } = call
  const { to, messages: history, parameters } = call.asked
  const idempotencyKey = idempotencyKeyOf(reply.request)
  const { id, limits, ...started } = await chat.start(principal, {
    in: { specialist: to.name, history, parameters, served: to.served },
    traceparent: reply.request.traceparent ?? undefined,
    ...(idempotencyKey !== undefined && { idempotencyKey }),
  })
  reply.headers({ 'x-parley-turn': id, ...servedHeaders(started), ...limitHeaders(limits) })

  let settled = false
  const leave = () => {
    if (settled) return
    settled = true
    chat.cancel(principal, id).catch((error) => {
      const { code } = asParleyError(error)
      if (code !== 'turn_finished') log.warn({ turn: id, code }, 'A turn that nobody reads could not be cancelled')
    })
  }
  if (over.signal.aborted) leave()
  else over.signal.addEventListener('abort', leave, { once: true })

  async function* events() {
    try {
      for await (const batch of chat.read(principal, id, -1, over.signal)) {
        if (batch.some((event) => isTerminal(event.type))) settled = true
        yield batch
      }
    } finally {
      if (!over.signal.aborted) leave()
    }
  }
  return { id, events: events() }
}

/** How its completion is signed. */
export function wireOf({ asked, clock }: CompletionCall, { id }: RequestTurn): Wire {
  return { id, created: Math.floor(clock.now() / 1000), model: asked.to.name }
}

/** How a turn ended well; throws what it failed of. */
export function completedTurn(terminal: TurnEvent): TurnEvents['turn.completed'] {
  if (isOf(terminal, 'turn.completed')) return dataOf(terminal)
  if (isOf(terminal, 'turn.failed')) {
    const { error, retryAfterMs } = dataOf(terminal)
    throw recallFault(error, retryAfterMs)
  }
  throw new ParleyError('turn_finished', { message: 'The turn was cancelled.' })
}

export function isOf<Type extends TurnEvent['type']>(event: TurnEvent, type: Type): event is TurnEvent<Type> {
  return event.type === type
}
