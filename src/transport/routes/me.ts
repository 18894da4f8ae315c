import { type Static, Type } from 'typebox'
import { roles } from '#identity/principal.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { list } from '../schema-parts.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'

const Me = Type.Object(
  {
    tenant: Type.String(),
    id: Type.String(),
    name: Type.String(),
    kind: Type.Union([Type.Literal('user'), Type.Literal('service')]),
    roles: Type.Array(Type.Enum([...roles])),
    key: Type.Optional(
      Type.Object(
        { owner: Type.String(), chat: list(Type.String()), actions: list(Type.String()) },
        { description: 'Of a Parley key: who made it, and what for; `*` is everything.' },
      ),
    ),
  },
  { title: 'Me' },
)

export function meRoute(routes: Routes): void {
  routes.get('/api/v1/me', {
    config: whom.known,
    schema: {
      operationId: 'getMe',
      summary: 'Who the caller is taken for',
      tags: ['sign-in'],
      response: { 200: Me, ...errors(401) },
    },
    handler: async (request): Promise<Static<typeof Me>> => {
      const { tenant, id, name, kind, roles, key } = principalOf(request)
      const madeFor = key && { key: { owner: key.owner, chat: key.chat, actions: key.actions } }
      return { tenant, id, name, kind, roles: [...roles], ...madeFor }
    },
  })
}
