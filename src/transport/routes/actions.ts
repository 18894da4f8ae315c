import { Type } from 'typebox'
import { checkDepth } from '../arguments-depth.ts'
import { servedHeaders } from '../config-header.ts'
import { idempotencyKeyOf } from '../idempotency-key.ts'
import { limitHeaders } from '../limit-headers.ts'
import type { NativeDeps } from '../native-deps.ts'
import { preferredWait } from '../prefer.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { answerRun, waitingForRuns } from '../run-answers.ts'
import { errors, startedRun } from '../schema-replies.ts'
import { ActionPage, NewRun } from '../schema-runs.ts'
import { whom } from '../whom.ts'

type Deps = Pick<NativeDeps, 'actions' | 'clock' | 'limits' | 'log' | 'serving'>

const tags = ['actions']

export function actionRoutes(routes: Routes, deps: Deps): void {
  const { actions, clock, limits, serving } = deps
  const wait = waitingForRuns(routes, deps)

  routes.get('/api/v1/actions', {
    config: whom.chat,
    schema: {
      operationId: 'listActions',
      summary: 'The actions that the caller may call',
      tags,
      response: { 200: ActionPage, ...errors(401) },
    },
    handler: async (request, reply) => {
      const config = serving.stable()
      reply.headers(servedHeaders({ config: config.name, arm: 'stable' }))
      return { items: actions.catalogue(principalOf(request), config) }
    },
  })

  routes.post('/api/v1/actions/:name/runs', {
    config: whom.chat,
    bodyLimit: limits.runs.bodyBytes,
    schema: {
      operationId: 'startRun',
      summary: 'Run an action, without a chat',
      description:
        'Answered at once, unless prefer: wait says how long the caller would wait for the end of it. The run goes on when the caller leaves.',
      tags,
      params: Type.Object({ name: Type.String({ maxLength: 200 }) }),
      headers: Type.Object({
        prefer: Type.Optional(
          Type.String({ description: 'wait=10 waits up to ten seconds for the settled run; 60 are the most.' }),
        ),
        'idempotency-key': Type.Optional(
          Type.String({ description: 'The same key and arguments again, within a day, give the same run.' }),
        ),
      }),
      body: NewRun,
      response: {
        200: startedRun('It is settled, or the same request was made before.'),
        202: startedRun('It is taken on.'),
        ...errors(400, 401, 402, 403, 404, 413, 415, 422, 429, 503),
      },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request)
      const key = idempotencyKeyOf(request)
      checkDepth(request.body.arguments, limits.runs.argumentsDepth, 'arguments')
      const askedAt = clock.now()
      const asked = {
        action: request.params.name,
        arguments: request.body.arguments,
        key,
        traceparent: request.traceparent ?? undefined,
      }
      const begun = await actions.start(principal, asked, (left) => reply.headers(limitHeaders(left)))
      const seconds = preferredWait(request, limits.runs.waitMs)
      if (seconds !== undefined) reply.header('preference-applied', `wait=${seconds}`)
      const run = await wait({ principal, run: begun, waitMs: (seconds ?? 0) * 1000, reply })
      // A run that is older than the request was begun by an earlier one.
      const isKnown = key !== undefined && begun.createdAt < askedAt
      reply.header('location', `/api/v1/runs/${run.id}`).header('x-parley-config', run.config)
      return answerRun(reply, run, isKnown || run.settledAt !== null ? 200 : 202)
    },
  })
}
