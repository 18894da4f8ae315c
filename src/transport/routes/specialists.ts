import { Type } from 'typebox'
import type { SpecialistSpec } from '#config/document.ts'
import { ParleyError } from '#errors.ts'
import { mayTalkTo } from '#identity/key-grant.ts'
import { pickedVersion, pickHeader, servedHeaders } from '../config-header.ts'
import { lastEventIdOf } from '../event-id.ts'
import { limitHeaders } from '../limit-headers.ts'
import { checkMessage } from '../message-text.ts'
import type { NativeDeps } from '../native-deps.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { IdPath, type Specialist, SpecialistPage } from '../schema.ts'
import { empty, errors, turnReply } from '../schema-replies.ts'
import { answerTurn, resumeTurn, turnForm } from '../turn-answers.ts'
import { openTurnStream } from '../turn-stream.ts'
import { whom } from '../whom.ts'

type Deps = Pick<NativeDeps, 'chat' | 'limits' | 'log' | 'serving'>

export function specialistRoutes(routes: Routes, { chat, limits, log, serving }: Deps): void {
  routes.get('/api/v1/specialists', {
    config: whom.chat,
    schema: {
      operationId: 'listSpecialists',
      summary: 'Who there is to talk to',
      tags: ['specialists'],
      response: { 200: SpecialistPage, ...errors(401) },
    },
    handler: async (request, reply) => {
      const caller = principalOf(request)
      const { name, document } = serving.stable()
      reply.headers(servedHeaders({ config: name, arm: 'stable' }))
      const reachable = Object.entries(document.specialists).filter(([id]) => mayTalkTo(caller, id))
      return { items: reachable.map(([id, spec]) => present(id, spec)) }
    },
  })

  routes.get('/api/v1/specialists/:id/stream', {
    config: whom.chat,
    schema: {
      operationId: 'askSpecialist',
      summary: 'Ask once, with nothing kept: a turn that EventSource can open',
      description:
        'Refused when a page of another site asks. No write action runs in it. With Last-Event-ID the turn of that event is resumed, and no other is started.',
      tags: ['specialists'],
      params: IdPath,
      querystring: Type.Object({ message: Type.String() }, { additionalProperties: false }),
      headers: Type.Object({ 'last-event-id': Type.Optional(Type.String()), ...pickHeader }),
      response: {
        200: turnReply,
        204: empty('The turn has ended, and all of its events were received.'),
        ...errors(400, 401, 402, 403, 404, 406, 413, 429, 503),
      },
    },
    handler: async (request, reply) => {
      refuseOtherSites(request.headers['sec-fetch-site'])
      const principal = principalOf(request)
      const form = turnForm(request.headers.accept, ['text/event-stream', 'application/json'])
      const { id } = request.params
      const content = checkMessage(request.query.message, limits.messageBytes)

      const last = lastEventIdOf(request)
      if (last) {
        const view = await chat.get(principal, last.turn)
        if (view.specialist !== id) throw new ParleyError('bad_position', { param: 'last-event-id' })
        return resumeTurn({ chat, principal, turn: last.turn, after: last.position, form, reply, log }, view)
      }
      const { version } = pickedVersion(request)
      chat.checkSpecialist(principal, id, version)
      // A HEAD request asks what a GET would be answered with; it starts nothing.
      if (request.method === 'HEAD') return void openTurnStream(reply)

      const {
        id: turn,
        config,
        arm,
        limits: left,
      } = await chat.start(principal, {
        in: { specialist: id, history: [{ role: 'user', content }], parameters: {} },
        readOnly: true,
        traceparent: request.traceparent ?? undefined,
        ...pickedVersion(request),
      })
      reply.headers(limitHeaders(left))
      return answerTurn({ chat, principal, turn, config, arm, after: -1, form, reply, log })
    },
  })
}

/**
 * Browsers tell where a request comes from: a page of another site could otherwise spend its visitor's quota with an image's
 * address.
 */
function refuseOtherSites(site: string | string[] | undefined): void {
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw new ParleyError('cross_site')
}

function present(id: string, { title, description, capabilities }: SpecialistSpec): Specialist {
  return {
    id,
    title,
    description: description ?? null,
    capabilities: { primary: capabilities?.primary ?? [], scores: capabilities?.scores ?? {} },
  }
}
