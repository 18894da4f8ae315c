import { checkDepth } from '../arguments-depth.ts'
import type { NativeDeps } from '../native-deps.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { answerRun, checkReason, checkRunId } from '../run-answers.ts'
import { IdPath } from '../schema.ts'
import { errors } from '../schema-replies.ts'
import { Run, RunApproval, RunRejection } from '../schema-runs.ts'
import { whom } from '../whom.ts'

type Deps = Pick<NativeDeps, 'actions' | 'limits'>

const tags = ['runs']

/** What is decided on a run before it begins. */
export function runDecisionRoutes(routes: Routes, { actions, limits }: Deps): void {
  routes.post('/api/v1/runs/:id/approve', {
    config: whom.known,
    bodyLimit: limits.runs.bodyBytes,
    schema: {
      operationId: 'approveRun',
      summary: 'Let a run begin that waits for approval',
      description:
        'By the hash of the arguments that were looked at; 412 when the run holds others meanwhile. Edited arguments make a new revision, which may need an approval of its own.',
      tags,
      params: IdPath,
      body: RunApproval,
      response: { 200: Run, ...errors(400, 401, 403, 404, 409, 412, 413, 415, 422, 503) },
    },
    handler: async (request, reply) => {
      const id = checkRunId(request.params.id)
      checkDepth(request.body.edited, limits.runs.argumentsDepth, 'edited')
      return answerRun(reply, await actions.approve(principalOf(request), id, request.body))
    },
  })

  routes.post('/api/v1/runs/:id/reject', {
    config: whom.known,
    schema: {
      operationId: 'rejectRun',
      summary: 'Keep a run from beginning, and say why',
      tags,
      params: IdPath,
      body: RunRejection,
      response: { 200: Run, ...errors(400, 401, 403, 404, 409, 413, 415, 503) },
    },
    handler: async (request, reply) => {
      const id = checkRunId(request.params.id)
      const reason = checkReason(request.body.reason, 'reason')
      return answerRun(reply, await actions.reject(principalOf(request), id, reason))
    },
  })

  routes.post('/api/v1/runs/:id/cancel', {
    config: { ...whom.known, vital: true },
    schema: {
      operationId: 'cancelRun',
      summary: 'Withdraw a run that has not begun',
      tags,
      params: IdPath,
      response: { 200: Run, ...errors(401, 403, 404, 409, 503) },
    },
    handler: async (request, reply) => {
      const id = checkRunId(request.params.id)
      return answerRun(reply, await actions.cancel(principalOf(request), id))
    },
  })
}
