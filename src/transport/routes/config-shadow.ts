import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Shadows, ShadowView } from '#config/shadow.ts'
import { ParleyError } from '#errors.ts'
import { tagToMatch } from '../etag.ts'
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
    handler: async (_request, reply) => answer(reply, await shadows.view()),
  })

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
      decideOn(shadows, request, reply, (ifMatch) => shadows.start(principalOf(request), { ...request.body, ifMatch })),
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
      return decideOn(shadows, request, reply, (ifMatch) => shadows.stop(principalOf(request), { reason, ifMatch }))
    },
  })
}

/** Decides on what the caller has seen. Whoever comes second is shown what the first has made of it. */
async function decideOn(
  shadows: Pick<Shadows, 'view'>,
  request: FastifyRequest,
  reply: FastifyReply,
  decide: (ifMatch: string) => Promise<ShadowView>,
): Promise<void> {
  try {
    answer(reply, await decide(tagToMatch(request)))
  } catch (error) {
    if (!(error instanceof ParleyError) || error.code !== 'version_conflict') throw error
    const shadow = await shadows.view()
    reply.code(error.status)
    reply.header('etag', `"${shadow.etag}"`).send({ ...error.toBody(request.id), shadow })
  }
}

function answer(reply: FastifyReply, view: ShadowView): void {
  reply.header('etag', `"${view.etag}"`).send(view)
}
