import type { FailureReason } from '../answer.ts'
import type { ModelSpec } from '../schema.ts'

/**
 * A provider streams chat completions as bytes in OpenAI's SSE format, whatever it speaks itself, so that one reader, one
 * failover and one pass-through serve them all.
 */
export interface Provider {
  /** Starts a call. The handler is called from a later tick on; after `end`, `refused` or `failed` no more. */
  open(call: ProviderCall, handler: ByteHandler): Flight
  /** Asks for one token; resolves when the deployment answers, rejects with `ProbeFailure` otherwise. */
  probe(spec: ModelSpec, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export interface ProviderCall {
  spec: ModelSpec
  /** The chat completion request, `stream: true` and usage asked for; the provider adds its own `model`. */
  body: Readonly<Record<string, unknown>>
  /** A pseudonym of who asks. */
  person?: string | undefined
}

export interface ByteHandler {
  /** Status 200 and a body of events. */
  started(): void
  data(chunk: Buffer): void
  end(): void
  /** Any other status; the body is cut at 64 KiB. */
  refused(refusal: Refusal): void
  /** No answer, or none to its end. */
  failed(reason: Extract<FailureReason, 'connect_failed' | 'cut_off' | 'misconfigured'>, cause: unknown): void
}

export interface Refusal {
  status: number
  /** From `retry-after` or `retry-after-ms`, unclamped; undefined when absent or unreadable. */
  retryAfterMs: number | undefined
  body: string
}

/** A call under way. Aborting closes the connection to the provider at once. */
export interface Flight {
  abort(): void
  pause(): void
  resume(): void
}

export class ProbeFailure extends Error {
  override readonly name = 'ProbeFailure'
  readonly reason: FailureReason

  constructor(reason: FailureReason, cause: unknown) {
    super('The probe got no answer.', { cause })
    this.reason = reason
  }
}
