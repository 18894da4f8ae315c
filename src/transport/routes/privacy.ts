import { Readable } from 'node:stream'
import { type Static, Type } from 'typebox'
import { ParleyError } from '#errors.ts'
import {
  type Consent,
  type Consents,
  type Erasure,
  type Erasures,
  type Exports,
  purposes,
} from '#governance/privacy.ts'
import { idAsInTokens, type Principal } from '#identity/principal.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { instant, list, nullable, oneOf } from '../schema-parts.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'

export interface PrivacyDeps {
  consents: Pick<Consents, 'list' | 'change'>
  erasures: Pick<Erasures, 'erase' | 'of'>
  exports: Exports
}

const tags = ['privacy']

const ConsentSchema = Type.Object(
  {
    purpose: oneOf(...purposes),
    given: Type.Boolean(),
    since: nullable(instant('When it was last said')),
    history: list(Type.Object({ given: Type.Boolean(), at: instant('When it was said') })),
  },
  { title: 'Consent' },
)
const ConsentPage = Type.Object({ items: list(ConsentSchema) }, { title: 'ConsentPage' })

const ErasureSchema = Type.Object(
  {
    status: oneOf('running', 'erased'),
    person: Type.String({ description: 'Tells people apart and names nobody: a hash of tenant and id.' }),
    requestedAt: instant('When it was asked for'),
    finishedAt: nullable(instant('When nothing more was found')),
    places: list(
      Type.Object({ place: Type.String(), erased: Type.Integer(), at: instant('When it was last looked through') }),
    ),
  },
  { title: 'Erasure', description: 'What was erased where, and when.' },
)

const Person = Type.Object(
  {
    person: Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'The id (`oid`) of somebody of one’s own tenant.',
    }),
  },
  { additionalProperties: false },
)
const Confirmation = Type.Object({ confirm: oneOf('erase-everything') }, { additionalProperties: false })
const exportReply = {
  description: 'Everything about the person: conversations with messages and turns, runs, consents, usage.',
  content: { 'application/json': { schema: Type.Object({}, { title: 'PersonalData', additionalProperties: true }) } },
}

/** What is a person’s own to decide and to have. */
export function ownPrivacyRoutes(routes: Routes, { consents, erasures, exports }: PrivacyDeps): void {
  routes.get('/api/v1/me/consents', {
    config: whom.known,
    schema: {
      operationId: 'listConsents',
      summary: 'What the caller has agreed to, and when',
      tags,
      response: { 200: ConsentPage, ...errors(401, 503) },
    },
    handler: async (request) => page(await consents.list(principalOf(request))),
  })

  routes.put('/api/v1/me/consents', {
    config: whom.known,
    schema: {
      operationId: 'changeConsents',
      summary: 'Agree to purposes, or take it back',
      description: 'What is not mentioned stays as it is. Counts within seconds everywhere.',
      tags,
      body: Type.Partial(Type.Object(Object.fromEntries(purposes.map((purpose) => [purpose, Type.Boolean()]))), {
        additionalProperties: false,
      }),
      response: { 200: ConsentPage, ...errors(400, 401, 412, 413, 415, 503) },
    },
    handler: async (request) => page(await consents.change(principalOf(request), request.body)),
  })

  routes.get('/api/v1/me/export', {
    config: whom.known,
    schema: {
      operationId: 'exportMe',
      summary: 'Everything that is known about the caller',
      tags,
      response: { 200: exportReply, ...errors(401, 503) },
    },
    handler: async (request, reply) => {
      const caller = principalOf(request)
      const pieces = await exports.of(caller, caller)
      return reply.type('application/json; charset=utf-8').send(Readable.from(pieces))
    },
  })

  routes.delete('/api/v1/me', {
    config: whom.known,
    schema: {
      operationId: 'eraseMe',
      summary: 'Erase everything that is known about the caller',
      description:
        'The caller’s key is destroyed first, so that nothing of it can be read in any copy; then what remains is removed. 202: some place is out of reach, and it goes on by itself.',
      tags,
      querystring: Confirmation,
      response: { 200: ErasureSchema, 202: ErasureSchema, ...errors(400, 401, 503) },
    },
    handler: async (request, reply) => {
      const caller = principalOf(request)
      const erasure = await erasures.erase(caller, caller)
      return reply.code(statusOf(erasure)).send(erasure)
    },
  })

  routes.get('/api/v1/me/erasure', {
    config: whom.known,
    schema: {
      operationId: 'getMyErasure',
      summary: 'What was erased of the caller, and where',
      tags,
      response: { 200: ErasureSchema, ...errors(401, 404, 503) },
    },
    handler: (request) => erasures.of(principalOf(request)),
  })
}

/** The same by an officer, for somebody of the officer’s tenant. */
export function officersPrivacyRoutes(routes: Routes, { erasures, exports }: PrivacyDeps): void {
  routes.post('/api/v1/privacy/exports', {
    config: whom.privacyOfficers,
    schema: {
      operationId: 'exportPerson',
      summary: 'Everything that is known about a person',
      tags,
      body: Person,
      response: { 200: exportReply, ...errors(400, 401, 403, 413, 415, 503) },
    },
    handler: async (request, reply) => {
      const officer = principalOf(request)
      const pieces = await exports.of(officer, personOf(officer, request.body.person))
      return reply.type('application/json; charset=utf-8').send(Readable.from(pieces))
    },
  })

  routes.post('/api/v1/privacy/erasures', {
    config: whom.privacyOfficers,
    schema: {
      operationId: 'erasePerson',
      summary: 'Erase everything that is known about a person',
      tags,
      body: Type.Object({ ...Person.properties, ...Confirmation.properties }, { additionalProperties: false }),
      response: { 200: ErasureSchema, 202: ErasureSchema, ...errors(400, 401, 403, 413, 415, 503) },
    },
    handler: async (request, reply) => {
      const officer = principalOf(request)
      const erasure = await erasures.erase(officer, personOf(officer, request.body.person))
      return reply.code(statusOf(erasure)).send(erasure)
    },
  })

  routes.get('/api/v1/privacy/erasures', {
    config: whom.privacyOfficers,
    schema: {
      operationId: 'getErasure',
      summary: 'What was erased of a person, and where',
      tags,
      querystring: Person,
      response: { 200: ErasureSchema, ...errors(400, 401, 403, 404, 503) },
    },
    handler: (request) => {
      const officer = principalOf(request)
      return erasures.of(personOf(officer, request.query.person))
    },
  })
}

/** Somebody of the officer’s tenant, with the rights of one who reads what is their own. */
function personOf({ tenant }: Principal, given: string): Principal {
  // Otherwise written, it would be nobody, of whom nothing is found and whose erasure is proved.
  const id = idAsInTokens(given)
  // Entra ID gives nobody such an id, and a database takes none.
  if (/\p{Cc}/u.test(id) || !id.isWellFormed()) {
    throw new ParleyError('invalid_request', { message: 'This is no id of a person.', param: 'person' })
  }
  return { tenant, id, name: '', kind: 'user', roles: ['Chat.User'], scopes: [] }
}

function page(items: Consent[]): Static<typeof ConsentPage> {
  return { items }
}

function statusOf({ status }: Erasure): 200 | 202 {
  return status === 'erased' ? 200 : 202
}
