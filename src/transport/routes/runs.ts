import { Type } from 'typebox'
import { isSettled } from '#actions/port.ts'
import { ParleyError } from '#errors.ts'
import type { NativeDeps } from '../native-deps.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { answerRun, checkRunId, waitingForRuns } from '../run-answers.ts'
import { relayRun, versionSeen } from '../run-stream.ts'
import { IdPath } from '../schema.ts'
import { empty, errors, runStreamReply } from '../schema-replies.ts'
import { Run, RunPage, RunQuery } from '../schema-runs.ts'
import { openResumableStream } from '../sse.ts'
import { turnForm } from '../turn-answers.ts'
import { whom } from '../whom.ts'

type Deps = Pick<NativeDeps, 'actions' | 'clock' | 'limits' | 'log'>

const tags = ['runs']

/** Looking at runs: one's own, and those one may decide on. */
export function runRoutes(routes: Routes, deps: Deps): void {
  const { actions, limits, log } = deps
  const wait = waitingForRuns(routes, deps)

  routes.get('/api/v1/runs', {
    config: whom.known,
    schema: {
      operationId: 'listRuns',
      summary: 'Runs, newest first',
      tags,
      querystring: RunQuery,
      response: { 200: RunPage, ...errors(400, 401, 403, 503) },
    },
    handler: (request) => {
      const { limit = 20, whose = 'mine', ...filter } = request.query
      return actions.list(principalOf(request), { limit, whose, ...filter })
    },
  })

  routes.get('/api/v1/runs/:id', {
    config: { ...whom.known, vital: true },
    schema: {
      operationId: 'getRun',
      summary: 'A run as it stands',
      tags,
      params: IdPath,
      response: { 200: Run, ...errors(401, 404, 503) },
    },
    handler: async (request, reply) => {
      const id = checkRunId(request.params.id)
      return answerRun(reply, await actions.get(principalOf(request), id))
    },
  })

  routes.get('/api/v1/runs/:id/stream', {
    config: { ...whom.known, vital: true },
    schema: {
      operationId: 'followRun',
      summary: 'A run now, and at each change until it is settled',
      tags,
      params: IdPath,
      headers: Type.Object({ 'last-event-id': Type.Optional(Type.String()) }),
      response: {
        200: runStreamReply,
        204: empty('The run is settled, and its last event was received.'),
        ...errors(400, 401, 404, 406, 503),
      },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request)
      const id = checkRunId(request.params.id)
      const form = turnForm(request.headers.accept, ['text/event-stream', 'application/json'])
      const seen = versionSeen(request, id)
      const run = await actions.get(principal, id)
      if (seen > run.version) {
        throw new ParleyError('bad_position', { message: 'The run has not come that far.', param: 'last-event-id' })
      }
      if (form === 'application/json') {
        return answerRun(reply, await wait({ principal, run, waitMs: limits.runs.waitMs, reply }))
      }
      // So that EventSource stops asking.
      if (isSettled(run) && seen === run.version) return reply.code(204).send(null)
      const stream = openResumableStream(reply)
      if (request.method !== 'HEAD') await relayRun({ actions, principal, run: id, seen }, stream, log)
    },
  })
}
