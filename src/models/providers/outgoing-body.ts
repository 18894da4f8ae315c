import type { ModelSpec } from '../schema.ts'
import type { ProviderCall } from './provider.ts'

interface Addressee {
  origin: string
  model: string | undefined
}

/**
 * What a provider is sent. Of what callers of `/v1` say about who asks, and of what they would have kept, nothing reaches it: OpenAI
 * and Azure OpenAI are told not to keep the answer, and a pseudonym where the version says so. What the version adds goes before.
 */
export function outgoingBody({ spec, body, person }: ProviderCall, { origin, model }: Addressee): string {
  const { user: _u, safety_identifier: _s, prompt_cache_key: _p, metadata: _m, store: _k, ...said } = body
  return JSON.stringify({ ...said, ...keepNothing(spec, origin), ...whoAsks(spec, person), ...spec.extraBody, model })
}

/** Others that speak like OpenAI may refuse what they do not know. */
function keepNothing({ provider }: ModelSpec, origin: string): { store?: false } {
  return provider === 'azure-openai' || /^https:\/\/([\w-]+\.)*openai\.com$/.test(origin) ? { store: false } : {}
}

function whoAsks({ provider, endUser }: ModelSpec, person: string | undefined): Record<string, string> {
  if (endUser !== 'pseudonym' || person === undefined) return {}
  return provider === 'openai' ? { safety_identifier: person } : { user: person }
}
