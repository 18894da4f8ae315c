import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ParleyError } from '#errors.ts'
import type { Identified } from '#identity/authenticator.ts'
import type { Principal, Role } from '#identity/principal.ts'
import { newId } from '#ids.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Null on open routes only; see `principalOf`. */
    principal: Principal | null
    /** When the caller's credential ends, ms since the epoch; null where it does not. */
    principalUntil: number | null
    /** Hears when it is taken away before that; null where nobody can. */
    onPrincipalEnded: NonNullable<Identified['onEnded']> | null
    /** When it was told who is calling, monotonic ms; null on open routes. */
    identifiedAt: number | null
    /** The caller's `traceparent`, when it is one. */
    traceparent: string | null
  }
  interface FastifyContextConfig {
    /** Served without a principal. A route says either this or whom it serves; one that says nothing does not start. */
    open?: true
    /** Served to callers with any one of these roles, or to whoever is known. */
    roles?: readonly Role[] | 'any'
    /** Served also while this replica takes nothing new: what tells of it, ends something, or goes on with what is under way. */
    vital?: true
  }
}

const REQUEST_ID = /^[\w.:/+=@-]{1,128}$/
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** The caller's `x-request-id` where it can be repeated safely, else a new one. */
export function requestIdOf(message: IncomingMessage): string {
  const given = message.headers['x-request-id']
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : newId('req')
}

/** W3C Trace Context, version 00 (a later version's known fields read the same). */
export function traceparentOf(message: IncomingMessage): string | null {
  const given = message.headers.traceparent
  return typeof given === 'string' && TRACEPARENT.test(given) ? given : null
}

export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new Error('An open route asked who is calling.')
  return request.principal
}

/**
 * Aborts when the client has gone before its answer was complete, and when its credential was taken away: with a `ParleyError`
 * that is to be the answer. Not `request.signal`: that fires as soon as the body of a
 * POST has been read.
 */
export function clientGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  onceClosed(reply, () => {
    if (!reply.raw.writableFinished) gone.abort(new Error('The client has left.'))
  })
  onceTakenAway(reply, () => gone.abort(credentialEnded()))
  return gone.signal
}

/** Calls `ended` once when the caller's credential is taken away while the response is not over. */
export function onceTakenAway(reply: FastifyReply, ended: () => void): void {
  const stopHearing = reply.request.onPrincipalEnded?.(ended)
  if (stopHearing) onceClosed(reply, stopHearing)
}

export function credentialEnded(): ParleyError {
  return new ParleyError('unauthenticated', { message: 'The session was ended, or the credential was taken away.' })
}

/** Calls `closed` once when the response is over, whichever way. */
export function onceClosed(reply: FastifyReply, closed: () => void): void {
  const { raw } = reply
  const { socket } = reply.request.raw
  const settle = () => {
    raw.off('close', settle)
    socket.off('close', settle)
    closed()
  }
  // Gone while the answer was being prepared: nothing will tell any more.
  if (raw.destroyed || socket.destroyed) return queueMicrotask(closed)
  raw.once('close', settle)
  // A pipelined response has no connection of its own before its turn comes, and is not told when that closes.
  if (raw.socket === null) socket.once('close', settle)
}
