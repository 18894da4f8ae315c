import type { OnLimits } from '#actions/actions.ts'
import { limitHeaders } from '../limit-headers.ts'
import type { NativeDeps } from '../native-deps.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { answerRun, checkReason, checkRunId } from '../run-answers.ts'
import { IdPath } from '../schema.ts'
import { errors } from '../schema-replies.ts'
import { ReplayedRuns, Run, RunDiscard, RunReplay, RunSettlement } from '../schema-runs.ts'
import { whom } from '../whom.ts'

const tags = ['runs']

/** What operators do about runs that went wrong. */
export function runRepairRoutes(routes: Routes, actions: NativeDeps['actions']): void {
  routes.post('/api/v1/runs/:id/replay', {
    config: whom.repairers,
    schema: {
      operationId: 'replayRun',
      summary: 'Try a failed or dead-lettered run again',
      description: 'Under the same key towards its target. For Action.Approver and Admin.',
      tags,
      params: IdPath,
      response: { 200: Run, ...errors(401, 402, 403, 404, 409, 429, 503) },
    },
    handler: async (request, reply) => {
      const id = checkRunId(request.params.id)
      const onLimits: OnLimits = (left) => reply.headers(limitHeaders(left))
      return answerRun(reply, await actions.replay(principalOf(request), id, onLimits))
    },
  })

  routes.post('/api/v1/runs/replay', {
    config: whom.repairers,
    schema: {
      operationId: 'replayRuns',
      summary: 'Try all dead-lettered runs again that fit, newest first',
      description: 'For Action.Approver and Admin.',
      tags,
      body: RunReplay,
      response: { 200: ReplayedRuns, ...errors(400, 401, 402, 403, 409, 413, 415, 429, 503) },
    },
    handler: async (request, reply) => {
      const onLimits: OnLimits = (left) => reply.headers(limitHeaders(left))
      return actions.replayAll(principalOf(request), request.body, onLimits)
    },
  })

  routes.post('/api/v1/runs/:id/discard', {
    config: whom.repairers,
    schema: {
      operationId: 'discardRun',
      summary: 'Give a dead-lettered run up, and say why',
      description: 'For Action.Approver and Admin.',
      tags,
      params: IdPath,
      body: RunDiscard,
      response: { 200: Run, ...errors(400, 401, 403, 404, 409, 413, 415, 503) },
    },
    handler: async (request, reply) => {
      const id = checkRunId(request.params.id)
      const reason = checkReason(request.body.reason, 'reason')
      return answerRun(reply, await actions.discard(principalOf(request), id, reason))
    },
  })

  routes.post('/api/v1/runs/:id/settle', {
    config: whom.repairers,
    schema: {
      operationId: 'settleRun',
      summary: 'Say what became of a run whose effect is unknown',
      description: 'For Action.Approver and Admin.',
      tags,
      params: IdPath,
      body: RunSettlement,
      response: { 200: Run, ...errors(400, 401, 403, 404, 409, 413, 415, 503) },
    },
    handler: async (request, reply) => {
      const id = checkRunId(request.params.id)
      const { status } = request.body
      const note = checkReason(request.body.note, 'note')
      return answerRun(reply, await actions.settle(principalOf(request), id, { status, note }))
    },
  })
}
