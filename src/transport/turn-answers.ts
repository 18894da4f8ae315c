import type { FastifyReply } from 'fastify'
import type { Chat, TurnView } from '#chat/chat.ts'
import type { TurnEvent, TurnEvents } from '#chat/turn-events.ts'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import { preferredType } from './accept.ts'
import { servedHeaders } from './config-header.ts'
import { recallFault } from './faults.ts'
import { clientGone } from './request-context.ts'
import { openTurnStream, relayTurn, type TurnReading } from './turn-stream.ts'

/** How a turn is answered: as it happens, or whole once it has ended. */
export type TurnForm = 'text/event-stream' | 'application/json'

/** The form that the caller accepts and likes best; the first offer when it does not say. */
export function turnForm(accept: string | undefined, offers: readonly TurnForm[]): TurnForm {
  const form = preferredType(accept, offers)
  if (form === undefined) throw new ParleyError('not_acceptable', { param: 'accept' })
  return form
}

export interface TurnAnswer extends TurnReading {
  chat: Chat
  form: TurnForm
  reply: FastifyReply
  log: Log
}

export async function answerTurn(answer: TurnAnswer): Promise<void> {
  const { chat, form, reply, log, principal, turn } = answer
  if (form === 'text/event-stream') {
    const stream = openTurnStream(reply, answer)
    return reply.request.method === 'HEAD' ? undefined : relayTurn(chat, answer, stream, log)
  }
  reply.header('x-parley-turn', turn).headers(servedHeaders(answer))
  const signal = clientGone(reply)
  let last: TurnEvent | undefined
  for await (const events of chat.read(principal, turn, -1, signal)) last = events.at(-1)
  if (signal.reason instanceof ParleyError) throw signal.reason
  reply.send(asAnswer(await chat.get(principal, turn), last))
}

/** Goes on with a turn after a position; 204 when a stream has nothing more to give. */
export async function resumeTurn(answer: Omit<TurnAnswer, 'config' | 'arm'>, view: TurnView): Promise<void> {
  const { form, reply, after } = answer
  if (after > view.position) throw new ParleyError('bad_position', { message: 'The turn has not come that far.' })
  if (form === 'text/event-stream' && view.status !== 'running' && after === view.position) {
    reply.code(204).send()
    return
  }
  await answerTurn({ ...answer, config: view.config, arm: view.arm })
}

/** A turn that failed before it said anything is an error; one that failed later is an answer that says so. */
function asAnswer(view: TurnView, last: TurnEvent | undefined): TurnView {
  const { status, text, error } = view
  if (status !== 'failed' || text !== '' || error === null) return view
  const { retryAfterMs }: Partial<TurnEvents['turn.failed']> = last ? JSON.parse(last.data) : {}
  throw recallFault(error, retryAfterMs)
}
