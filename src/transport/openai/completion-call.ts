import type { FastifyReply } from 'fastify'
import type { Chat } from '#chat/chat.ts'
import type { Principal } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { EventStream } from '../event-stream.ts'
import { asFault } from '../faults.ts'
import type { TransportLimits } from '../limits.ts'
import { openEventStream } from '../sse.ts'
import type { Asked } from './completion-request.ts'
import { errorFrame } from './frames.ts'

/** What the surface stands on. */
export interface OpenAiDeps {
  chat: Chat
  log: Log
  clock: Clock
  limits: TransportLimits
}

/** Why nobody needs to work for a call any more. */
export const OVER = new Error('The response is over.')

/** The caller's credential was taken away meanwhile. */
export const TAKEN_AWAY = new Error('The credential of the caller was taken away.')

/** A chat completion that is being answered. */
export interface CompletionCall extends OpenAiDeps {
  principal: Principal
  asked: Asked
  reply: FastifyReply
  /** Aborted with `OVER` when the response is over before the answer is, with `TAKEN_AWAY` when there is to be none. */
  over: AbortController
}

/** Answers 200 from here on; what fails later is told in the stream. */
export function openCompletionStream({ reply }: CompletionCall, model: string | undefined): EventStream {
  if (model !== undefined) reply.header('x-parley-model', model)
  return openEventStream(reply, { farewell: (reason) => errorFrame(reason, reply.request.id) })
}

/** The stream ends with what went wrong, in place of `[DONE]`. */
export function failStream({ over, reply, log }: CompletionCall, stream: EventStream, thrown: unknown): void {
  // A stream that is open hears of its reader's credential itself.
  if (over.signal.reason === OVER || over.signal.reason === TAKEN_AWAY) return
  const fault = asFault(thrown)
  const requestId = reply.request.id
  if (fault.code === 'internal') log.error({ requestId, err: fault.cause ?? fault }, 'Streaming an answer failed')
  stream.write(errorFrame(fault, requestId))
  stream.end()
}
