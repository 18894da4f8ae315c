import type { Shadows } from '#config/shadow.ts'
import { decideOn, tagOf } from '../config-answers.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { checkReason } from '../run-answers.ts'
import { nullable } from '../schema-parts.ts'
import { errors } from '../schema-replies.ts'
import { StateToMatch } from '../schema-rollout.ts'
import { ShadowStart, ShadowStop, shadowConflict, shadowReply } from '../schema-shadow.ts'
import { whom } from '../whom.ts'

const tags = ['config']
/** Without a reason it says at least that it was a person. */
const NO_REASON = 'by hand'

/** Trying a version on copies of live turns. */
export function configShadowRoutes(routes: Routes, shadows: Shadows): void {
  routes.get('/api/v1/config/shadow', {
    config: whom.operators,
    schema: {
      operationId: 'getShadow',
      summary: 'What is tried in the shadow, and how it compares with what was served',
      tags,
      response: { 200: shadowReply, ...errors(401, 403, 503) },
    },
    handler: async (_request, reply) => {
      const view = await shadows.view()
      return reply.header('etag', tagOf(view)).send(view)
    },
  })

  const decided = { name: 'shadow', present: () => shadows.view() } as const
  const replies = { 200: shadowReply, ...errors(400, 401, 403, 409, 413, 415, 428, 503), 412: shadowConflict }

  routes.post('/api/v1/config/shadow/start', {
    config: whom.operators,
    schema: {
      operationId: 'startShadow',
      summary: 'Try a version on copies of the turns of people who have consented',
      tags,
      headers: StateToMatch,
      body: ShadowStart,
      response: { ...replies, ...errors(404, 422) },
    },
    handler: (request, reply) =>
      decideOn(decided, request, reply, (ifMatch) => shadows.start(principalOf(request), { ...request.body, ifMatch })),
  })

  routes.post('/api/v1/config/shadow/stop', {
    config: whom.operators,
    schema: {
      operationId: 'stopShadow',
      summary: 'Stop trying it; copies under way are given up',
      tags,
      headers: StateToMatch,
      body: nullable(ShadowStop),
      response: replies,
    },
    handler: (request, reply) => {
      const given = request.body?.reason
      const reason = given === undefined ? NO_REASON : checkReason(given, 'reason')
      return decideOn(decided, request, reply, (ifMatch) => shadows.stop(principalOf(request), { reason, ifMatch }))
    },
  })
}
