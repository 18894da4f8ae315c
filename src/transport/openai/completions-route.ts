import { Type } from 'typebox'
import { pickedVersion, pickHeader, servedHeaderDocs, servedHeaders } from '../config-header.ts'
import { asFault } from '../faults.ts'
import { credentialEnded, onceClosed, onceTakenAway, principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'
import { type CompletionCall, type OpenAiDeps, OVER, TAKEN_AWAY } from './completion-call.ts'
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
      headers: Type.Object(pickHeader),
      body: CompletionRequest,
      response: {
        200: {
          description: 'The completion; or with `stream`, its chunks.',
          headers: {
            'x-parley-model': {
              type: 'string',
              description: 'The model that answers; of a stream, the one that was being tried when it opened.',
            },
            ...servedHeaderDocs,
            'x-parley-turn': { type: 'string', description: 'The id of the turn, where the specialist has actions.' },
          },
          content: {
            'application/json': { schema: Completion },
            'text/event-stream': {
              schema: { type: 'string', description: '`chat.completion.chunk` objects, then `[DONE]`.' },
            },
          },
        },
        ...errors(400, 401, 402, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503, 504),
      },
    },
    handler: async (request, reply) => {
      const over = new AbortController()
      let answered = false
      onceClosed(reply, () => {
        if (!answered) over.abort(OVER)
      })
      onceTakenAway(reply, () => over.abort(TAKEN_AWAY))
      try {
        const principal = principalOf(request)
        const { version } = pickedVersion(request)
        const asked = readRequest((model) => deps.chat.address(principal, model, version), request.body)
        reply.headers(servedHeaders(asked.to.served))
        await answer({ ...deps, principal, asked, reply, over })
        answered = true
        if (over.signal.reason === TAKEN_AWAY && !reply.sent) throw TAKEN_AWAY
      } catch (thrown) {
        if (over.signal.reason === OVER) return void reply.hijack()
        const error = over.signal.reason === TAKEN_AWAY ? credentialEnded() : thrown
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
