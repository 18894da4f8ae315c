import { Type } from 'typebox'
import type { Audit } from '#governance/audit.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'
import { SignedOut } from './sign-out-route.ts'

export type Revoke = (by: Owner, person: Owner) => Promise<number>

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

/** Whatever a person has in hand to call with is taken no more; what Entra ID gives them from then on is. */
export function revokeRoute(routes: Routes, revoke: Revoke, note: Audit['note']): void {
  routes.post('/api/v1/people/sign-out', {
    config: { ...whom.admins, vital: true },
    schema: {
      operationId: 'signPersonOut',
      summary: 'Ends all sessions of a person, and their access tokens',
      description:
        'For who leaves, or has lost a device. On every replica within a second, with all that streams by them: sessions of browsers, and access tokens that were issued until now. Disable the account first: who may sign in signs in again.',
      tags: ['sign-in'],
      body: Person,
      response: { 200: SignedOut, ...errors(400, 401, 403, 413, 415, 503) },
    },
    handler: async (request) => {
      const admin = principalOf(request)
      const person = { tenant: admin.tenant, id: request.body.person }
      const ended = await revoke(admin, person)
      const [actor, subject] = [partitionOf(admin), partitionOf(person)]
      note({ tenant: admin.tenant, kind: 'sessions.ended', actor, subject, details: { ended, tokens: 'revoked' } })
      return { ended }
    },
  })
}
