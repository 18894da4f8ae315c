import type { ModelsEnv } from '#env.ts'
import { endpointOf } from './endpoint.ts'
import type { ModelSpec, RouteSpec } from './schema.ts'

/** What is wrong with a document, and where. */
export interface Fault {
  path: (string | number)[]
  message: string
}

/** The part of a config version that `models/` answers for. */
export interface ModelsDocument {
  models: Readonly<Record<string, ModelSpec>>
  routes: Readonly<Record<string, RouteSpec>>
}

/** Every fault that the document's shape does not show: what the environment lacks or forbids, names that lead nowhere. */
export function checkModels(document: ModelsDocument, env: ModelsEnv): Fault[] {
  const models = Object.entries(document.models).flatMap(([name, spec]) => modelFaults(name, spec, env))
  const routes = Object.entries(document.routes).flatMap(([name, route]) =>
    route.models.flatMap((model, index) =>
      Object.hasOwn(document.models, model)
        ? []
        : [{ path: ['routes', name, 'models', index], message: `There is no model named ${model}.` }],
    ),
  )
  return [...models, ...routes]
}

function modelFaults(name: string, spec: ModelSpec, env: ModelsEnv): Fault[] {
  const { provider } = spec
  if (provider === 'offline') return []
  const endpoint = endpointOf({ ...spec, provider }, env)
  if (!Array.isArray(endpoint)) return []
  return endpoint.map(({ field, message }) => ({ path: ['models', name, field], message }))
}
