import { type Static, Type } from 'typebox'
import { ParleyError } from '#errors.ts'
import { type IssuedKey as Issued, type Keys, keyLimits } from '#identity/keys.ts'
import { idAsInTokens } from '#identity/principal.ts'
import { etagOf, versionToMatch } from '../etag.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { checkLine } from '../message-text.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { IdPath } from '../schema.ts'
import { IssuedKey, Key, KeyPage, KeyQuery, KeyRotation, NewKey } from '../schema-keys.ts'
import { empty, errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'

export type ManagedKeys = Pick<Keys, 'create' | 'list' | 'get' | 'rotate' | 'revoke'>

const tags = ['keys']
const KEY_ID = /^key_[0-9a-f]{32}$/

/** Keys for tools that can hold nothing but a static one: made by people, for themselves to answer for. */
export function keyRoutes(routes: Routes, keys: ManagedKeys): void {
  routes.post('/api/v1/keys', {
    config: whom.chat,
    schema: {
      operationId: 'createKey',
      summary: 'Make a key for a tool that can hold nothing but a static one',
      description:
        'It is sent as a bearer token, or as `api-key`, and is a principal of its own: no user stands behind it. Its text is in this answer and nowhere else.',
      tags,
      headers: Type.Object({
        'idempotency-key': Type.Optional(
          Type.String({ description: 'The same key and body again give the same Parley key, without its text.' }),
        ),
      }),
      body: NewKey,
      response: {
        200: IssuedKey,
        201: IssuedKey,
        ...errors(400, 401, 403, 409, 413, 415, 422, 503),
      },
    },
    handler: async (request, reply) => {
      const { name, days = keyLimits.days.default, chat = ['*'], actions = [], budget = null } = request.body
      const wish = { name: checkLine(name, 'name'), days, chat, actions, budget }
      const issued = await keys.create(principalOf(request), wish, idempotencyKeyOf(request))
      const { view, text } = issued
      reply.header('location', `/api/v1/keys/${view.id}`).header('etag', etagOf(view))
      return reply.code(text === undefined ? 200 : 201).send(present(issued))
    },
  })

  routes.get('/api/v1/keys', {
    config: whom.chat,
    schema: {
      operationId: 'listKeys',
      summary: 'The caller’s keys, or the tenant’s for Admin; newest first',
      tags,
      querystring: KeyQuery,
      response: { 200: KeyPage, ...errors(400, 401, 403, 503) },
    },
    handler: (request) => {
      const { whose = 'mine', limit = 50, owner, cursor } = request.query
      if (owner !== undefined && whose === 'mine') {
        throw new ParleyError('invalid_request', { message: '`owner` goes with whose=tenant.', param: 'owner' })
      }
      return keys.list(principalOf(request), {
        ...{ whose, limit },
        // A database takes no NUL.
        ...(owner !== undefined && { owner: idAsInTokens(checkLine(owner, 'owner')) }),
        ...(cursor !== undefined && { cursor }),
      })
    },
  })

  routes.get('/api/v1/keys/:id', {
    config: whom.chat,
    schema: {
      operationId: 'getKey',
      summary: 'One key, without its text',
      tags,
      params: IdPath,
      response: { 200: Key, ...errors(401, 403, 404, 503) },
    },
    handler: async (request, reply) => {
      const key = await keys.get(principalOf(request), checkKeyId(request.params.id))
      return reply.header('etag', etagOf(key)).send(key)
    },
  })

  routes.post('/api/v1/keys/:id/rotate', {
    config: whom.chat,
    schema: {
      operationId: 'rotateKey',
      summary: 'A new text for a key; the one before goes on for an overlap',
      description: 'By who made it, with the `if-match` of what was seen.',
      tags,
      params: IdPath,
      headers: Type.Object({
        'if-match': Type.Optional(Type.String({ description: 'The `etag` of the key as it was read.' })),
      }),
      body: KeyRotation,
      response: { 200: IssuedKey, ...errors(400, 401, 403, 404, 409, 412, 413, 415, 428, 503) },
    },
    handler: async (request, reply) => {
      const { overlapMinutes = keyLimits.overlapMinutes.default, days } = request.body
      const version = versionToMatch(request)
      if (version === undefined) throw new ParleyError('precondition_required', { param: 'if-match' })
      const rotation = { overlapMinutes, ...(days !== undefined && { days }) }
      const issued = await keys.rotate(principalOf(request), checkKeyId(request.params.id), rotation, version)
      return reply.header('etag', etagOf(issued.view)).send(present(issued))
    },
  })

  routes.delete('/api/v1/keys/:id', {
    // What it ends is what there is too much of.
    config: { ...whom.chat, vital: true },
    schema: {
      operationId: 'revokeKey',
      summary: 'End a key, on every replica within a second, with all that it has under way',
      description: 'By who made it, or an Admin. 503: it is to be asked for again.',
      tags,
      params: IdPath,
      response: { 204: empty('It is revoked.'), ...errors(401, 403, 404, 503) },
    },
    handler: async (request, reply) => {
      await keys.revoke(principalOf(request), checkKeyId(request.params.id))
      return reply.code(204).send(null)
    },
  })
}

function checkKeyId(id: string): string {
  if (!KEY_ID.test(id)) throw new ParleyError('key_not_found')
  return id
}

function present({ view, text }: Issued): Static<typeof IssuedKey> {
  return { ...view, key: text ?? null }
}
