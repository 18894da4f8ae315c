import { decideOn } from '../config-answers.ts'
import type { ServedConfig } from '../config-deps.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { checkReason } from '../run-answers.ts'
import { nullable } from '../schema-parts.ts'
import { errors } from '../schema-replies.ts'
import {
  RolloutDecision,
  RolloutRestore,
  RolloutStart,
  rolloutConflict,
  rolloutReply,
  StateToMatch,
} from '../schema-rollout.ts'
import { whom } from '../whom.ts'

const tags = ['config']

/** Without a reason the history says at least that it was a person. */
const NO_REASON = 'by hand'

const decisions = {
  promote: 'To the next step, or from baking to stable, on a person’s word',
  pause: 'Hold the rollout where it is',
  resume: 'Go on with a rollout that is paused',
  rollback: 'Take the candidate back; or, where none is under way, the stable version, to the one before it',
} as const

/** What operators decide: each names the state that it was decided on. */
export function configDecisionRoutes(routes: Routes, { rollouts }: ServedConfig): void {
  const decided = { name: 'rollout', present: () => rollouts.view() } as const
  const replies = {
    200: rolloutReply,
    ...errors(400, 401, 403, 404, 409, 413, 415, 428, 503),
    412: rolloutConflict,
  }

  routes.post('/api/v1/config/rollout/start', {
    config: whom.operators,
    schema: {
      operationId: 'startRollout',
      summary: 'Begin the journey of a version',
      tags,
      headers: StateToMatch,
      body: RolloutStart,
      response: { ...replies, ...errors(422) },
    },
    handler: (request, reply) => {
      const { version, waive } = request.body
      return decideOn(decided, request, reply, (ifMatch) =>
        rollouts.start(principalOf(request), { version, ...(waive && { waive }), ifMatch }),
      )
    },
  })

  for (const decision of ['promote', 'pause', 'resume', 'rollback'] as const) {
    routes.post(`/api/v1/config/rollout/${decision}`, {
      config: { ...whom.operators, vital: true },
      schema: {
        operationId: `${decision}Rollout`,
        summary: decisions[decision],
        tags,
        headers: StateToMatch,
        body: nullable(RolloutDecision),
        response: replies,
      },
      handler: (request, reply) => {
        const reason = reasonOf(request.body)
        return decideOn(decided, request, reply, (ifMatch) =>
          rollouts[decision](principalOf(request), { reason, ifMatch }),
        )
      },
    })
  }

  routes.post('/api/v1/config/rollout/restore', {
    config: { ...whom.operators, vital: true },
    schema: {
      operationId: 'restoreRollout',
      summary: 'Put what is known in the place of a state that cannot be read or was set back; or take what is there',
      tags,
      headers: StateToMatch,
      body: nullable(RolloutRestore),
      response: replies,
    },
    handler: (request, reply) => {
      const reason = reasonOf(request.body)
      const { take } = request.body ?? {}
      return decideOn(decided, request, reply, (ifMatch) =>
        rollouts.restore(principalOf(request), { reason, ifMatch, ...(take !== undefined && { take }) }),
      )
    },
  })
}

function reasonOf(body: { reason?: string } | null): string {
  return body?.reason === undefined ? NO_REASON : checkReason(body.reason, 'reason')
}
