import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import { preferredType } from '../accept.ts'
import { tagOf } from '../config-answers.ts'
import type { ServedConfig } from '../config-deps.ts'
import { relayRollout } from '../rollout-stream.ts'
import type { Routes } from '../routing.ts'
import { errors } from '../schema-replies.ts'
import { HistoryQuery, RolloutHistory, rolloutReply, rolloutStreamReply } from '../schema-rollout.ts'
import { openResumableStream } from '../sse.ts'
import { whom } from '../whom.ts'

const tags = ['config']

/** Looking at the rollout. */
export function configRolloutRoutes(routes: Routes, { rollouts }: ServedConfig, log: Log): void {
  routes.get('/api/v1/config/rollout', {
    config: { ...whom.operators, vital: true },
    schema: {
      operationId: 'getRollout',
      summary: 'The rollout: who serves what, and the present verdict in one sentence and in figures',
      tags,
      response: { 200: rolloutReply, ...errors(401, 403) },
    },
    handler: async (_request, reply) => {
      // The tag is the state's: what is judged of it changes under the same one, so it saves no answer.
      const view = rollouts.view()
      return reply.header('etag', tagOf(view)).send(view)
    },
  })

  routes.get('/api/v1/config/rollout/stream', {
    config: whom.operators,
    schema: {
      operationId: 'followRollout',
      summary: 'The rollout now, and at each change of its state or of its verdict',
      tags,
      response: { 200: rolloutStreamReply, ...errors(401, 403, 406) },
    },
    handler: async (request, reply) => {
      if (preferredType(request.headers.accept, ['text/event-stream']) === undefined) {
        throw new ParleyError('not_acceptable', { param: 'accept' })
      }
      const stream = openResumableStream(reply)
      if (request.method !== 'HEAD') await relayRollout(rollouts, stream, log)
    },
  })

  routes.get('/api/v1/config/rollout/history', {
    config: whom.operators,
    schema: {
      operationId: 'listTransitions',
      summary: 'All that happened to rollouts, newest first, and what it was decided on',
      tags,
      querystring: HistoryQuery,
      response: { 200: RolloutHistory, ...errors(400, 401, 403, 503) },
    },
    handler: async ({ query }) => ({ items: await rollouts.history(query.limit ?? 20) }),
  })
}
