import { Type } from 'typebox'
import { pickedVersion, pickHeader, servedHeaders } from '../config-header.ts'
import { positionAfter } from '../event-id.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { limitHeaders } from '../limit-headers.ts'
import { checkCharacters, checkMessage } from '../message-text.ts'
import type { NativeDeps } from '../native-deps.ts'
import { prefersNotToWait } from '../prefer.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { Feedback, IdPath, NewTurn, Turn, TurnReference } from '../schema.ts'
import { empty, errors, turnReply } from '../schema-replies.ts'
import { answerTurn, resumeTurn, turnForm } from '../turn-answers.ts'
import { whom } from '../whom.ts'

type Deps = Pick<NativeDeps, 'chat' | 'limits' | 'log'>

const tags = ['turns']

export function turnRoutes(routes: Routes, { chat, limits, log }: Deps): void {
  routes.post('/api/v1/conversations/:id/turns', {
    config: whom.chat,
    schema: {
      operationId: 'startTurn',
      summary: 'Say something, and get the answer',
      description:
        'With accept: text/event-stream its events are streamed, else the answer comes whole. The turn goes on when the caller leaves; its stream can be resumed anywhere.',
      tags,
      params: IdPath,
      headers: Type.Object({
        prefer: Type.Optional(Type.String({ description: 'respond-async answers 202 at once.' })),
        'idempotency-key': Type.Optional(
          Type.String({ description: 'The same key and body again give the same turn, from its start.' }),
        ),
        ...pickHeader,
      }),
      body: NewTurn,
      response: {
        200: turnReply,
        202: Turn,
        ...errors(400, 401, 402, 404, 406, 409, 413, 415, 422, 429, 500, 502, 503, 504),
      },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request)
      const form = turnForm(request.headers.accept, ['application/json', 'text/event-stream'])
      const idempotencyKey = idempotencyKeyOf(request)
      const message = checkMessage(request.body.message, limits.messageBytes)
      const {
        id: turn,
        config,
        arm,
        limits: left,
      } = await chat.start(principal, {
        in: { conversation: request.params.id },
        message,
        traceparent: request.traceparent ?? undefined,
        ...pickedVersion(request),
        ...(idempotencyKey !== undefined && { idempotencyKey }),
      })
      reply.headers({ location: `/api/v1/turns/${turn}`, ...limitHeaders(left) })
      if (form === 'application/json' && prefersNotToWait(request)) {
        reply.headers({
          'x-parley-turn': turn,
          ...servedHeaders({ config, arm }),
          'preference-applied': 'respond-async',
        })
        return reply.code(202).send(await chat.get(principal, turn))
      }
      return answerTurn({ chat, principal, turn, config, arm, after: -1, form, reply, log })
    },
  })

  routes.get('/api/v1/turns/:id', {
    config: { ...whom.chat, vital: true },
    schema: {
      operationId: 'getTurn',
      summary: 'A turn as it stands',
      tags,
      params: IdPath,
      response: { 200: Turn, ...errors(401, 404, 503) },
    },
    handler: async (request, reply) => {
      const turn = await chat.get(principalOf(request), request.params.id)
      return reply.headers(servedHeaders(turn)).send(turn)
    },
  })

  routes.get('/api/v1/turns/:id/stream', {
    config: { ...whom.chat, vital: true },
    schema: {
      operationId: 'resumeTurn',
      summary: 'The events of a turn after a position, and those to come',
      tags,
      params: IdPath,
      querystring: Type.Object(
        {
          after: Type.Optional(
            Type.String({
              description: 'The id of the last event received, or its position. Last-Event-ID goes first.',
            }),
          ),
        },
        { additionalProperties: false },
      ),
      headers: Type.Object({ 'last-event-id': Type.Optional(Type.String()) }),
      response: {
        200: turnReply,
        204: empty('The turn has ended, and all of its events were received.'),
        ...errors(400, 401, 404, 406, 503),
      },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request)
      const { id: turn } = request.params
      const form = turnForm(request.headers.accept, ['text/event-stream', 'application/json'])
      const after = positionAfter(request, turn, request.query.after)
      return resumeTurn({ chat, principal, turn, after, form, reply, log }, await chat.get(principal, turn))
    },
  })

  routes.post('/api/v1/turns/:id/cancel', {
    config: { ...whom.chat, vital: true },
    schema: {
      operationId: 'cancelTurn',
      summary: 'Stop a turn, on whichever replica it runs',
      tags,
      params: IdPath,
      response: { 202: TurnReference, ...errors(401, 404, 409, 503) },
    },
    handler: async (request, reply) => {
      const { id } = request.params
      await chat.cancel(principalOf(request), id)
      return reply.code(202).send({ id })
    },
  })

  routes.post('/api/v1/turns/:id/feedback', {
    config: whom.chat,
    schema: {
      operationId: 'giveFeedback',
      summary: 'Thumbs up or down for a turn that has ended',
      tags,
      params: IdPath,
      body: Feedback,
      response: { 204: empty('It is noted.'), ...errors(400, 401, 404, 409, 413, 415, 503) },
    },
    handler: async (request, reply) => {
      const { comment } = request.body
      if (comment !== undefined) checkCharacters(comment, 'comment')
      await chat.feedback(principalOf(request), request.params.id, request.body)
      return reply.code(204).send(null)
    },
  })
}
