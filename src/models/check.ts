import type { ModelsEnv } from '#env.ts'
import { endpointOf } from './endpoint.ts'
import type { Fault, ModelsDocument } from './models-document.ts'
import { checkRoutes } from './route-check.ts'
import type { ModelSpec } from './schema.ts'

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
  return [...models, ...routes, ...checkRoutes(document)]
}

function modelFaults(name: string, spec: ModelSpec, env: ModelsEnv): Fault[] {
  const { provider } = spec
  if (provider === 'offline') return []
  const priced = priceFaults(name, spec)
  const endpoint = endpointOf({ ...spec, provider }, env)
  if (!Array.isArray(endpoint)) return priced
  return [...priced, ...endpoint.map(({ field, message }) => ({ path: ['models', name, field], message }))]
}

/** Whom one pays gives nothing away: without its price no budget holds, and no rollout sees that a version is dearer. */
function priceFaults(name: string, { provider, price }: ModelSpec): Fault[] {
  if (provider === 'openai-compatible' || price.input + price.output > 0) return []
  return [
    { path: ['models', name, 'price'], message: `${provider} is paid for: it needs its price per million tokens.` },
  ]
}
