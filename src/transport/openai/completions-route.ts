import { asFault } from '../faults.ts'
import { onceClosed, principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'
import { type CompletionCall, type OpenAiDeps, OVER } from './completion-call.ts'
import { readRequest } from './completion-request.ts'
import { sendRelayed } from './relayed-answer.ts'
import { streamRelayed } from './relayed-stream.ts'
import { Completion, CompletionRequest } from './schema.ts'
import { sendTurn } from './turn-answer.ts'
import { streamTurn } from './turn-stream.ts'

export function completionsRoute(routes: Routes, deps: OpenAiDeps): void {
  routes.post('/v1/chat/completions', {
    config: whom.chat,
    bodyLimit: deps.limits.completionBodyBytes,
    schema: {
      operationId: 'createChatCompletion',
      summary: 'A chat completion, as OpenAI clients ask for it',
      description: [
        'Nothing of it is kept, it cannot be resumed, and it is cancelled when the caller leaves. A specialist with actions',
        'runs them itself; only calls of the caller’s own tools are returned. When a model fails before its first words',
        'another one answers; later, another one goes on, or the stream ends with an error in place of `[DONE]`.',
      ].join(' '),
      tags: ['openai'],
      body: CompletionRequest,
      response: {
        200: {
          description: 'The completion; or with `stream`, its chunks.',
          headers: {
            'x-parley-model': {
              type: 'string',
              description: 'The model that answers; of a stream, the first to speak.',
            },
            'x-parley-config': { type: 'string', description: 'The config version that serves it.' },
            'x-parley-turn': { type: 'string', description: 'The id of the turn, where the specialist has actions.' },
          },
          content: {
            'application/json': { schema: Completion },
            'text/event-stream': {
              schema: { type: 'string', description: '`chat.completion.chunk` objects, then `[DONE]`.' },
            },
          },
        },
        ...errors(400, 401, 404, 409, 413, 415, 422, 429, 500, 502, 503, 504),
      },
    },
    handler: async (request, reply) => {
      const over = new AbortController()
      let answered = false
      onceClosed(reply, () => {
        if (!answered) over.abort(OVER)
      })
      try {
        const asked = readRequest(deps.chat, request.body)
        reply.header('x-parley-config', asked.to.config)
        await answer({ ...deps, principal: principalOf(request), asked, reply, over })
        answered = true
      } catch (error) {
        if (over.signal.reason === OVER) return void reply.hijack()
        // OpenAI's clients repeat by the status alone, unless they are told.
        reply.header('x-should-retry', String(asFault(error).retryable))
        throw error
      }
    },
  })
}

function answer(call: CompletionCall): Promise<void> {
  const { stream, to } = call.asked
  if (to.opensTurn) return stream ? streamTurn(call) : sendTurn(call)
  return stream ? streamRelayed(call) : sendRelayed(call)
}
