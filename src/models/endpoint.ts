import type { ModelsEnv } from '#env.ts'
import type { ModelSpec } from './schema.ts'

/** Where a deployment listens and how it knows us. */
export interface Endpoint {
  /** Base address of the API, without a slash at its end. */
  baseUrl: string
  /** What the request's `model` says. */
  model: string
  /** The key is that of now, whenever it is asked for. */
  auth: { scheme: 'bearer' | 'api-key'; key: string } | { scheme: 'entra' } | { scheme: 'none' }
  /** How this API names the limit of the answer's tokens. */
  tokenLimit: 'max_tokens' | 'max_completion_tokens'
}

/** Why a model cannot be called as it is written, by the field to change. */
export interface Misfit {
  field: 'deployment' | 'model' | 'baseUrl' | 'provider'
  message: string
}

/** What authenticates a request; `key` is the token where `auth` is `entra`. */
export function authHeaders({ auth }: Endpoint, key: string | undefined): Record<string, string> {
  if (key === undefined) return {}
  return auth.scheme === 'api-key' ? { 'api-key': key } : { authorization: `Bearer ${key}` }
}

type RemoteSpec = ModelSpec & { provider: Exclude<ModelSpec['provider'], 'offline'> }

/** The endpoint of a model in this environment, or what is missing for it. */
export function endpointOf(spec: RemoteSpec, env: ModelsEnv): Endpoint | Misfit[] {
  switch (spec.provider) {
    case 'azure-openai':
      return azureEndpoint(spec, env)
    case 'openai':
      return openaiEndpoint(spec, env)
    case 'openai-compatible':
      return compatibleEndpoint(spec, env)
  }
}

/** Azure's v1 API: the one of OpenAI under the resource's address, without an API version, the deployment as the model. */
function azureEndpoint(spec: ModelSpec, { azureOpenai }: ModelsEnv): Endpoint | Misfit[] {
  const misfits: Misfit[] = []
  if (!spec.deployment) misfits.push({ field: 'deployment', message: 'azure-openai needs a deployment.' })
  if (!azureOpenai) misfits.push({ field: 'provider', message: 'azure-openai needs AZURE_OPENAI_ENDPOINT to be set.' })
  if (!spec.deployment || !azureOpenai) return misfits
  const { endpoint, apiKey } = azureOpenai
  return {
    baseUrl: `${withoutSlash(endpoint).replace(/\/openai(\/v1)?$/, '')}/openai/v1`,
    model: spec.deployment,
    auth: apiKey ? keyed('api-key', () => azureOpenai.apiKey ?? apiKey) : { scheme: 'entra' },
    tokenLimit: 'max_completion_tokens',
  }
}

function openaiEndpoint(spec: ModelSpec, { openai }: ModelsEnv): Endpoint | Misfit[] {
  const misfits: Misfit[] = []
  if (!spec.model) misfits.push({ field: 'model', message: 'openai needs a model.' })
  if (!openai?.apiKey) misfits.push({ field: 'provider', message: 'openai needs OPENAI_API_KEY to be set.' })
  if (!spec.model || !openai?.apiKey) return misfits
  const { apiKey } = openai
  return {
    baseUrl: withoutSlash(openai.baseUrl),
    model: spec.model,
    auth: keyed('bearer', () => openai.apiKey ?? apiKey),
    tokenLimit: 'max_completion_tokens',
  }
}

/** The key of OPENAI_BASE_URL goes to its origin only: an address out of a config version must not collect it. */
function compatibleEndpoint(spec: ModelSpec, env: ModelsEnv): Endpoint | Misfit[] {
  const misfits: Misfit[] = []
  if (!spec.model) misfits.push({ field: 'model', message: 'openai-compatible needs a model.' })
  const baseUrl = spec.baseUrl ?? env.openai?.baseUrl
  const address = baseUrl ? permittedAddress(baseUrl, env) : 'openai-compatible needs a baseUrl, or OPENAI_BASE_URL.'
  if (typeof address === 'string') misfits.push({ field: 'baseUrl', message: address })
  if (!spec.model || typeof address === 'string') return misfits
  const { openai } = env
  const own = openai && address.origin === originOf(openai.baseUrl) ? openai.apiKey : undefined
  return {
    baseUrl: withoutSlash(address.href),
    model: spec.model,
    auth: own ? keyed('bearer', () => openai?.apiKey ?? own) : { scheme: 'none' },
    tokenLimit: 'max_tokens',
  }
}

function keyed<Scheme extends 'bearer' | 'api-key'>(scheme: Scheme, present: () => string) {
  return {
    scheme,
    get key() {
      return present()
    },
  }
}

/** The address, or why it is not to be called. A host is named exactly, with or without its port. */
function permittedAddress(baseUrl: string, env: ModelsEnv): URL | string {
  const url = URL.parse(baseUrl)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) return 'baseUrl is not an http(s) address.'
  if (url.username || url.password || url.search || url.hash) {
    return 'baseUrl must not carry credentials, a query or a fragment.'
  }
  const listed = env.egressHosts.some((host) => [url.host, url.hostname].includes(host.toLowerCase()))
  const ours = env.openai !== undefined && originOf(env.openai.baseUrl) === url.origin
  return listed || ours ? url : `The environment does not permit the host ${url.host} (PARLEY_EGRESS_HOSTS).`
}

function originOf(address: string): string | undefined {
  return URL.parse(address)?.origin
}

function withoutSlash(address: string): string {
  return address.replace(/\/+$/, '')
}
