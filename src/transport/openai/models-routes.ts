import type { Addressee, Chat } from '#chat/chat.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { IdPath } from '../schema.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'
import { CompletionModel, CompletionModelList } from './schema.ts'

const tags = ['openai']

export function modelsRoutes(routes: Routes, chat: Chat): void {
  routes.get('/v1/models', {
    config: whom.chat,
    schema: {
      operationId: 'listCompletionModels',
      summary: 'What `model` of a chat completion may name',
      tags,
      response: { 200: CompletionModelList, ...errors(401, 503) },
    },
    handler: async (request) => {
      return { object: 'list' as const, data: chat.addressees(principalOf(request)).map(present) }
    },
  })

  routes.get('/v1/models/:id', {
    config: whom.chat,
    schema: {
      operationId: 'getCompletionModel',
      summary: 'One of them',
      tags,
      params: IdPath,
      response: { 200: CompletionModel, ...errors(401, 403, 404, 503) },
    },
    handler: async (request) => present(chat.addressee(request.params.id, principalOf(request))),
  })
}

/** When a version was made is not known of it; OpenAI's clients want a number. */
function present({ name, kind, config }: Addressee): CompletionModel {
  return { id: name, object: 'model', created: 0, owned_by: 'parley', parley: { kind, config } }
}
