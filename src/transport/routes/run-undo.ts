import { Type } from 'typebox'
import { limitHeaders } from '../limit-headers.ts'
import type { NativeDeps } from '../native-deps.ts'
import { preferredWait } from '../prefer.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { answerRun, checkRunId, waitingForRuns } from '../run-answers.ts'
import { IdPath } from '../schema.ts'
import { errors, startedRun } from '../schema-replies.ts'
import { whom } from '../whom.ts'

type Deps = Pick<NativeDeps, 'actions' | 'clock' | 'limits' | 'log'>

/** Taking back what a run did, by a run of its own. */
export function runUndoRoute(routes: Routes, deps: Deps): void {
  const { actions, clock, limits } = deps
  const wait = waitingForRuns(routes, deps)

  routes.post('/api/v1/runs/:id/undo', {
    config: whom.known,
    schema: {
      operationId: 'undoRun',
      summary: 'Undo a run that succeeded',
      description:
        'By the action that its own action names for that: a run of its own, done for the caller and under all rules, an approval of its own included. Asked again, it is the same run, unless that was rejected, cancelled or expired. For whoever asked for the run, Action.Approver and Admin.',
      tags: ['runs'],
      params: IdPath,
      headers: Type.Object({
        prefer: Type.Optional(
          Type.String({ description: 'wait=10 waits up to ten seconds for the settled run; 60 are the most.' }),
        ),
      }),
      response: {
        200: startedRun('The run that undoes it: settled, or asked for before.'),
        202: startedRun('The run that undoes it is taken on.'),
        ...errors(401, 402, 403, 404, 409, 422, 429, 503),
      },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request)
      const id = checkRunId(request.params.id)
      const askedAt = clock.now()
      const begun = await actions.undo(principal, id, request.traceparent ?? undefined, (left) =>
        reply.headers(limitHeaders(left)),
      )
      const seconds = preferredWait(request, limits.runs.waitMs)
      if (seconds !== undefined) reply.header('preference-applied', `wait=${seconds}`)
      const run = await wait({ principal, run: begun, waitMs: (seconds ?? 0) * 1000, reply })
      reply.header('location', `/api/v1/runs/${run.id}`)
      return answerRun(reply, run, begun.createdAt < askedAt || run.settledAt !== null ? 200 : 202)
    },
  })
}
