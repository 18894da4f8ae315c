import { type Static, Type } from 'typebox'
import type { KillSwitches } from '#governance/kill-switches.ts'
import type { Stop } from '#governance/stops.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { checkReason } from '../run-answers.ts'
import { empty, errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'

const tags = ['governance']

const KillSwitch = Type.Object(
  {
    scope: Type.String({ description: '`all`, or `tenant:`, `specialist:`, `model:`, `action:` with a name.' }),
    reason: Type.String(),
    at: Type.String({ format: 'date-time' }),
  },
  { title: 'KillSwitch' },
)

const ScopePath = Type.Object({ scope: Type.String({ minLength: 1, maxLength: 200 }) })

/** What operators stop at once, on every replica. */
export function killSwitchRoutes(routes: Routes, switches: KillSwitches): void {
  routes.get('/api/v1/kill-switches', {
    config: { ...whom.operators, vital: true },
    schema: {
      operationId: 'listKillSwitches',
      summary: 'What operators have stopped',
      tags,
      response: {
        200: Type.Object({ items: Type.Array(KillSwitch) }, { title: 'KillSwitchPage' }),
        ...errors(401, 403),
      },
    },
    handler: async () => ({ items: switches.list().map(present) }),
  })

  routes.put('/api/v1/kill-switches/:scope', {
    config: { ...whom.operators, vital: true },
    schema: {
      operationId: 'setKillSwitch',
      summary: 'Stop everything, a tenant, a specialist, a model or an action',
      description:
        'Answers under way end within a second on every replica, as failed with `killed`; new ones are refused. Runs of a stopped action wait; without a chat none is begun. For Config.Operator and Admin of the home tenant.',
      tags,
      params: ScopePath,
      body: Type.Object({ reason: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
      response: { 200: KillSwitch, ...errors(400, 401, 403, 412, 413, 415, 503) },
    },
    handler: async (request) => {
      const reason = checkReason(request.body.reason, 'reason')
      return present(await switches.set(principalOf(request), request.params.scope, reason))
    },
  })

  routes.delete('/api/v1/kill-switches/:scope', {
    config: { ...whom.operators, vital: true },
    schema: {
      operationId: 'liftKillSwitch',
      summary: 'Let it go on',
      tags,
      params: ScopePath,
      response: { 204: empty('It may go on.'), ...errors(401, 403, 404, 412, 503) },
    },
    handler: async (request, reply) => {
      await switches.lift(principalOf(request), request.params.scope)
      return reply.code(204).send(null)
    },
  })
}

function present({ scope, reason, at }: Stop): Static<typeof KillSwitch> {
  return { scope, reason, at: new Date(at).toISOString() }
}
