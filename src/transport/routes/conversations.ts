import { Type } from 'typebox'
import { pickedVersion, pickHeader, servedHeaders } from '../config-header.ts'
import { etagOf, versionToMatch } from '../etag.ts'
import { checkLine } from '../message-text.ts'
import type { NativeDeps } from '../native-deps.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { Conversation, ConversationChange, ConversationPage, IdPath, MessagePage, NewConversation } from '../schema.ts'
import { empty, errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'

type Deps = Pick<NativeDeps, 'chat' | 'conversations'>

const tags = ['conversations']

/** Conversations of the caller; those of anybody else are not found. */
export function conversationRoutes(routes: Routes, { chat, conversations }: Deps): void {
  routes.post('/api/v1/conversations', {
    config: whom.chat,
    schema: {
      operationId: 'createConversation',
      summary: 'Begin a conversation with a specialist',
      tags,
      headers: Type.Object(pickHeader),
      body: NewConversation,
      response: { 201: Conversation, ...errors(400, 401, 403, 404, 413, 415, 503) },
    },
    handler: async (request, reply) => {
      const { specialist, title } = request.body
      const given = title !== undefined && { title: checkLine(title, 'title') }
      const from = { specialist, ...given, ...pickedVersion(request) }
      const conversation = await chat.createConversation(principalOf(request), from)
      reply.header('location', `/api/v1/conversations/${conversation.id}`).header('etag', etagOf(conversation))
      reply.headers(servedHeaders(conversation))
      return reply.code(201).send(conversation)
    },
  })

  routes.get('/api/v1/conversations', {
    config: whom.chat,
    schema: {
      operationId: 'listConversations',
      summary: 'The caller’s conversations, newest activity first',
      tags,
      querystring: Type.Object(
        {
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: '20 when not given.' })),
          cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 500 })),
        },
        { additionalProperties: false },
      ),
      response: { 200: ConversationPage, ...errors(400, 401, 503) },
    },
    handler: (request) => {
      const { limit = 20, cursor } = request.query
      return conversations.list(principalOf(request), { limit, ...(cursor !== undefined && { cursor }) })
    },
  })

  routes.get('/api/v1/conversations/:id', {
    config: whom.chat,
    schema: {
      operationId: 'getConversation',
      summary: 'One conversation',
      tags,
      params: IdPath,
      response: { 200: Conversation, ...errors(401, 404, 503) },
    },
    handler: async (request, reply) => {
      const conversation = await conversations.get(principalOf(request), request.params.id)
      return reply.header('etag', etagOf(conversation)).send(conversation)
    },
  })

  routes.patch('/api/v1/conversations/:id', {
    config: whom.chat,
    schema: {
      operationId: 'renameConversation',
      summary: 'Rename a conversation',
      tags,
      params: IdPath,
      headers: Type.Object({ 'if-match': Type.Optional(Type.String({ description: 'The ETag that was read.' })) }),
      body: ConversationChange,
      response: { 200: Conversation, ...errors(400, 401, 404, 412, 413, 415, 503) },
    },
    handler: async (request, reply) => {
      const { id } = request.params
      const title = checkLine(request.body.title, 'title')
      const conversation = await conversations.rename(principalOf(request), id, title, versionToMatch(request))
      return reply.header('etag', etagOf(conversation)).send(conversation)
    },
  })

  routes.delete('/api/v1/conversations/:id', {
    config: whom.chat,
    schema: {
      operationId: 'deleteConversation',
      summary: 'Delete a conversation with its messages and turns; a running one is cancelled',
      tags,
      params: IdPath,
      response: { 204: empty('It is gone.'), ...errors(401, 404, 503) },
    },
    handler: async (request, reply) => {
      await chat.deleteConversation(principalOf(request), request.params.id)
      return reply.code(204).send(null)
    },
  })

  routes.get('/api/v1/conversations/:id/messages', {
    config: whom.chat,
    schema: {
      operationId: 'listMessages',
      summary: 'What was said, in order',
      tags,
      params: IdPath,
      querystring: Type.Object(
        {
          after: Type.Optional(
            Type.Integer({
              minimum: -1,
              maximum: Number.MAX_SAFE_INTEGER,
              description: 'From the start when not given.',
            }),
          ),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, description: '100 when not given.' })),
        },
        { additionalProperties: false },
      ),
      response: { 200: MessagePage, ...errors(400, 401, 404, 503) },
    },
    handler: (request) => {
      const { after = -1, limit = 100 } = request.query
      return conversations.messages(principalOf(request), request.params.id, after, limit)
    },
  })
}
