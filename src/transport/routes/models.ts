import { ParleyError } from '#errors.ts'
import { partitionOf } from '#identity/principal.ts'
import type { ModelHealth } from '#models/models.ts'
import type { NativeDeps } from '../native-deps.ts'
import { principalOf } from '../request-context.ts'
import type { Routes } from '../routing.ts'
import { CircuitChange, IdPath, ModelPage, ModelState } from '../schema.ts'
import { errors } from '../schema-replies.ts'
import { whom } from '../whom.ts'

const tags = ['models']

export function modelRoutes(routes: Routes, { models, note }: Pick<NativeDeps, 'models' | 'note'>): void {
  routes.get('/api/v1/models', {
    config: whom.known,
    schema: {
      operationId: 'listModels',
      summary: 'The models in use, as this replica sees them',
      tags,
      response: { 200: ModelPage, ...errors(401) },
    },
    handler: async () => ({ items: models.health().map(present) }),
  })

  routes.post('/api/v1/models/:id/circuit', {
    config: { ...whom.operators, vital: true },
    schema: {
      operationId: 'setCircuit',
      summary: 'Keep calls away from a model, let them through, or leave it to the breaker',
      description: 'For this replica, until it is given back. For Config.Operator and Admin.',
      tags,
      params: IdPath,
      body: CircuitChange,
      response: { 200: ModelState, ...errors(400, 401, 403, 404, 415) },
    },
    handler: async (request) => {
      const { state } = request.body
      const health = models.setCircuit(request.params.id, state)
      if (!health) throw new ParleyError('model_not_found')
      const by = principalOf(request)
      note({ tenant: by.tenant, kind: 'circuit.set', actor: partitionOf(by), subject: health.name, details: { state } })
      return present(health)
    },
  })
}

function present({ firstTokenMs: { p50, p95 }, lastFailure, coolingUntil, ...rest }: ModelHealth): ModelState {
  return {
    ...rest,
    firstTokenMs: { p50: p50 ?? null, p95: p95 ?? null },
    lastFailure: lastFailure ?? null,
    coolingUntil: coolingUntil ?? null,
  }
}
