import type { Agent } from 'undici'
import type { FailureReason } from '../answer.ts'
import { authHeaders, type Endpoint } from '../endpoint.ts'
import { ProbeFailure } from './provider.ts'

interface ProbeOptions {
  target: Endpoint
  key(): Promise<string | undefined>
  extraBody: Readonly<Record<string, unknown>>
  agent: Agent
  signal: AbortSignal
  /** The deployment does not take the key. */
  onUnauthorized(): void
}

/**
 * Asks a deployment for one token. Off the hot path, so by the SDK, which is loaded with the first probe. A deployment
 * that refuses the question as such (some do not take so low a limit) is up all the same.
 */
export async function probe({ target, key, extraBody, agent, signal, onUnauthorized }: ProbeOptions): Promise<void> {
  const [{ default: OpenAI, APIError, APIConnectionError }, { fetch }] = await Promise.all([
    import('openai'),
    import('undici'),
  ])
  try {
    const secret = await key()
    const client = new OpenAI({
      baseURL: target.baseUrl,
      apiKey: secret ?? '',
      organization: null,
      project: null,
      defaultHeaders: { authorization: null, ...authHeaders(target, secret) },
      fetch: (input, init) => fetch(input, { ...init, dispatcher: agent }),
      maxRetries: 0,
      logLevel: 'off',
    })
    await client.chat.completions.create(
      { ...extraBody, model: target.model, messages: [{ role: 'user', content: 'ping' }], [target.tokenLimit]: 1 },
      { signal },
    )
  } catch (thrown) {
    if (signal.aborted) throw new ProbeFailure('connect_timeout', signal.reason)
    if (!(thrown instanceof APIError) || thrown instanceof APIConnectionError)
      throw new ProbeFailure('connect_failed', thrown)
    if (thrown.status === 401) onUnauthorized()
    const reason = failureOf(thrown.status)
    if (reason) throw new ProbeFailure(reason, thrown)
  }
}

function failureOf(status: number | undefined): FailureReason | undefined {
  if (status === 400 || status === 422) return undefined
  if (status === 429) return 'rate_limited'
  return status !== undefined && status < 500 ? 'misconfigured' : 'server_error'
}
