import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import type { Audit } from '#governance/audit.ts'
import { partitionOf } from '#identity/principal.ts'
import { cookieNames, type SignIn } from '#identity/sign-in.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'
import { setCookie } from './cookies.ts'

const tags = ['sign-in']

const SignedOut = Type.Object(
  { ended: Type.Integer({ description: 'How many sessions were on.' }) },
  { title: 'SignedOut' },
)

/** All sessions of the caller at once, wherever they are, and what streams for them; and what the caller lent us is forgotten. */
export function signOutRoute(routes: Routes, signIn: SignIn, note: Audit['note']): void {
  routes.delete('/api/v1/me/sessions', {
    config: { ...whom.known, vital: true },
    schema: {
      operationId: 'signOutEverywhere',
      summary: 'Ends all sessions of the caller',
      description:
        'On every replica within a second, with all that streams for them. Actions that wait to run for the caller wait until the caller signs in again. An access token that a client holds lasts as long as it says.',
      tags,
      response: { 200: SignedOut, ...errors(401, 403, 503) },
    },
    handler: async (request, reply: FastifyReply) => {
      const caller = principalOf(request)
      const ended = await signIn.endAll(caller)
      const actor = partitionOf(caller)
      note({ tenant: caller.tenant, kind: 'sessions.ended', actor, subject: actor, details: { ended } })
      setCookie(reply, signIn.origin, cookieNames(signIn.origin).session, '', 0, 'Strict')
      return reply.send({ ended })
    },
  })
}
