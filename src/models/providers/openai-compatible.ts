import { Agent } from 'undici'
import type { ModelsEnv } from '#env.ts'
import type { Clock } from '#platform/clock.ts'
import type { TokenSource } from '#platform/credential.ts'
import { authHeaders, type Endpoint, endpointOf, type Misfit } from '../endpoint.ts'
import type { ModelSpec } from '../schema.ts'
import { entraToken } from './entra-token.ts'
import { HttpFlight } from './http-flight.ts'
import { outgoingBody } from './outgoing-body.ts'
import { probe } from './probe.ts'
import { type ByteHandler, type Flight, ProbeFailure, type Provider, type ProviderCall } from './provider.ts'

export interface RemoteOptions {
  env: ModelsEnv
  /** For Azure OpenAI without a key. */
  tokens: TokenSource
  clock: Clock
  /** A provider does not take the key. */
  onUnauthorized?: () => void
}

const CONNECT_TIMEOUT_MS = 30_000
const HEADERS = { 'content-type': 'application/json', accept: 'text/event-stream' }

/** A deployment as the hot path needs it, worked out once per model of a config version. */
interface Target extends Endpoint {
  origin: string
  path: string
}

/** OpenAI, Azure OpenAI and whatever speaks like them, over HTTP/1.1 with one connection per stream. */
export function openaiCompatible({ env, tokens, clock, onUnauthorized = () => {} }: RemoteOptions): Provider {
  // How long an answer may take is decided above, by content; here only an address that swallows packets ends by itself.
  const agent = new Agent({
    allowH2: false,
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: CONNECT_TIMEOUT_MS },
  })
  const token = entraToken(tokens, clock)
  const targets = new WeakMap<ModelSpec, Target | Misfit[]>()

  const targetOf = (spec: ModelSpec): Target | Misfit[] => {
    const known = targets.get(spec)
    if (known) return known
    const target = newTarget(spec, env)
    targets.set(spec, target)
    return target
  }

  const keyOf = (target: Target): string | undefined | Promise<string> => {
    if (target.auth.scheme === 'entra') return token()
    return target.auth.scheme === 'none' ? undefined : target.auth.key
  }

  const send = (flight: HttpFlight, target: Target, key: string | undefined, body: string) => {
    const headers = { ...HEADERS, ...authHeaders(target, key) }
    agent.dispatch({ origin: target.origin, path: target.path, method: 'POST', headers, body }, flight)
  }

  const open = (call: ProviderCall, handler: ByteHandler): Flight => {
    const flight = new HttpFlight(handler, clock, onUnauthorized)
    const target = targetOf(call.spec)
    if (Array.isArray(target)) {
      queueMicrotask(() => flight.fail('misconfigured', new Error(sentences(target))))
      return flight
    }
    const text = outgoingBody(call, target)
    const key = keyOf(target)
    if (key instanceof Promise) {
      key.then(
        (value) => flight.over || send(flight, target, value, text),
        (cause) => flight.fail('connect_failed', cause),
      )
    } else {
      send(flight, target, key, text)
    }
    return flight
  }

  return {
    open,
    probe: async (spec, signal) => {
      const target = targetOf(spec)
      if (Array.isArray(target)) throw new ProbeFailure('misconfigured', new Error(sentences(target)))
      const { extraBody = {} } = spec
      await probe({ target, key: async () => keyOf(target), extraBody, agent, signal, onUnauthorized })
    },
    close: () => agent.destroy(),
  }
}

function newTarget(spec: ModelSpec, env: ModelsEnv): Target | Misfit[] {
  const { provider } = spec
  if (provider === 'offline') return [{ field: 'provider', message: 'The offline model has no address.' }]
  const endpoint = endpointOf({ ...spec, provider }, env)
  if (Array.isArray(endpoint)) return endpoint
  const { origin, pathname } = new URL(endpoint.baseUrl)
  return { ...endpoint, origin, path: `${pathname === '/' ? '' : pathname}/chat/completions` }
}

function sentences(misfits: readonly Misfit[]): string {
  return misfits.map(({ message }) => message).join(' ')
}
