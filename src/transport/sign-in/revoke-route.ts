import { Type } from 'typebox'
import { ParleyError } from '#errors.ts'
import type { Audit } from '#governance/audit.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import type { TakenAway } from '#identity/take-away.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'

export type Revoke = (by: Owner, person: Owner) => Promise<TakenAway>

const OBJECT_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const Person = Type.Object(
  {
    person: Type.String({
      minLength: 1,
      maxLength: 128,
      description: 'The object id (`oid`) of somebody of one’s own tenant, a UUID; no name or address.',
    }),
  },
  { additionalProperties: false },
)

const PersonSignedOut = Type.Object(
  {
    ended: Type.Integer({ description: 'How many sessions were on.' }),
    tokens: Type.Literal('revoked', {
      description: 'Access tokens that were issued until now are refused. How many there are nobody knows.',
    }),
  },
  { title: 'PersonSignedOut' },
)

/** Whatever a person has in hand to call with is taken no more; what Entra ID gives them from then on is. */
export function revokeRoute(routes: Routes, revoke: Revoke, note: Audit['note']): void {
  routes.post('/api/v1/people/sign-out', {
    config: { ...whom.admins, vital: true },
    schema: {
      operationId: 'signPersonOut',
      summary: 'Ends all sessions of a person, and their access tokens',
      description:
        'For who leaves, or has lost a device. On every replica that reaches the store, within a second, with all that streams by them: sessions of browsers, and access tokens that were issued until now, or in the next five seconds, since clocks differ. An error may come after some of it is done; ask again. Disable the account first: who may sign in signs in again.',
      tags: ['sign-in'],
      body: Person,
      response: { 200: PersonSignedOut, ...errors(400, 401, 403, 413, 415, 503) },
    },
    handler: async (request) => {
      const admin = principalOf(request)
      const person = { tenant: admin.tenant, id: objectIdOf(request.body.person) }
      const who = { tenant: admin.tenant, actor: partitionOf(admin), subject: partitionOf(person) }
      const { ended, tokens, fault } = await revoke(admin, person)
      note({ ...who, kind: 'sessions.ended', details: { ended, tokens } })
      if (ended === null || tokens === null) throw fault
      return { ended, tokens }
    },
  })
}

/** As tokens have it: in lower case. What is none would be signed out in vain, and seem to be. */
function objectIdOf(person: string): string {
  const id = person.toLowerCase()
  if (OBJECT_ID.test(id)) return id
  throw new ParleyError('invalid_request', {
    message: '`person` is the object id (`oid`) of somebody, a UUID.',
    param: 'person',
  })
}
