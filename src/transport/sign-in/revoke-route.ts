import { Type } from 'typebox'
import type { Audit, AuditEntry } from '#governance/audit.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'
import { SignedOut } from './sign-out-route.ts'

/** Resolves with how many sessions were on; where it rejects it is safe to repeat. */
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
      const who = { tenant: admin.tenant, actor: partitionOf(admin), subject: partitionOf(person) }
      const noted = (details: AuditEntry['details']) => note({ ...who, kind: 'sessions.ended', details })
      try {
        const ended = await revoke(admin, person)
        noted({ ended, tokens: 'revoked' })
        return { ended }
      } catch (error) {
        // Some of it may be done; it is to be asked for again.
        noted({ ended: null })
        throw error
      }
    },
  })
}
