import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import type { Audit } from '#governance/audit.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
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
const Person = Type.Object(
  {
    person: Type.String({
      minLength: 1,
      maxLength: 128,
      description: 'The id (`oid`) of somebody of one’s own tenant.',
    }),
  },
  { additionalProperties: false },
)

/** All sessions of a person at once, wherever they are, and what streams for them; and what the person lent us is forgotten. */
export function signOutRoutes(routes: Routes, signIn: SignIn, note: Audit['note']): void {
  async function endAll(actor: Owner, person: Owner): Promise<{ ended: number }> {
    const ended = await signIn.endAll(person)
    const subject = partitionOf(person)
    note({ tenant: person.tenant, kind: 'sessions.ended', actor: partitionOf(actor), subject, details: { ended } })
    return { ended }
  }

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
      const answer = await endAll(caller, caller)
      setCookie(reply, signIn.origin, cookieNames(signIn.origin).session, '', 0, 'Strict')
      return reply.send(answer)
    },
  })

  routes.post('/api/v1/people/sign-out', {
    config: { ...whom.admins, vital: true },
    schema: {
      operationId: 'signPersonOut',
      summary: 'Ends all sessions of a person',
      description:
        'For who leaves, or has lost a device. Disable the account first: who may sign in signs in again, and an access token that a client holds lasts as long as it says.',
      tags,
      body: Person,
      response: { 200: SignedOut, ...errors(400, 401, 403, 413, 415, 503) },
    },
    handler: (request) => {
      const admin = principalOf(request)
      return endAll(admin, { tenant: admin.tenant, id: request.body.person })
    },
  })
}
