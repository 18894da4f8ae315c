import type { ModelSpec, RouteSpec } from './schema.ts'

/** A model that may answer, under the name its config version gives it. */
export interface Candidate {
  name: string
  spec: ModelSpec
}

/** A chat message in OpenAI's shape; content is text or multi-part. */
export interface ChatMessage {
  role: 'system' | 'developer' | 'user' | 'assistant' | 'tool'
  content?: string | null | readonly Record<string, unknown>[]
  tool_calls?: readonly WireToolCall[]
  tool_call_id?: string
  name?: string
  [other: string]: unknown
}

export interface WireToolCall {
  id: string
  type: 'function'
  function: { name: string; arguments: string }
}

/** What one step asks of a route: the answer streams into the sink, its summary is returned. */
export interface AnswerRequest {
  /** In order of preference. */
  candidates: readonly Candidate[]
  timers: Pick<RouteSpec, 'connectTimeoutMs' | 'firstTokenTimeoutMs' | 'stallTimeoutMs'>
  /**
   * The rest of the chat completion's parameters in OpenAI's shape (tools, tool_choice, temperature, …), without `model`,
   * `messages`, `stream`, `stream_options`. Unknown ones reach the provider untouched.
   */
  parameters: Readonly<Record<string, unknown>>
  /** The prompt for one candidate, fitted to its window; may throw `context_overflow`. Called once per call of a model. */
  messages(candidate: Candidate): readonly ChatMessage[]
  /** Text already shown by a producer that died: the first call continues it, with a seam. */
  visible?: string
  /**
   * `text`: the sink gets decoded text, tool calls are hidden until complete.
   * `relay`: the sink gets the provider's own bytes, tool calls included; once half of a tool call is out, or with
   * `response_format`, nothing can be continued.
   */
  mode: 'text' | 'relay'
  /** For whom; tenants take turns where calls wait. */
  tenant?: string
  /** What it is served from, for the log. */
  served?: { config: string; arm: string }
  /** A pseudonym of who asks, for providers that a version says are to have it. */
  person?: string
  /** Waited for before each call; where it rejects, so does the answer, and nobody is called. */
  before?(
    candidate: Candidate,
    messages: readonly ChatMessage[],
    parameters: Readonly<Record<string, unknown>>,
  ): Promise<void>
  /** Models that must not be asked, where there can be any. */
  vetoes?: Vetoes | undefined
  signal: AbortSignal
  /** W3C trace context that its calls belong to. */
  traceparent?: string | undefined
}

/** By whoever may stop a model: an answer ends with the error of the model that is asked, whether it speaks by then or not. */
export interface Vetoes {
  of(model: string): Error | undefined
  /** Hears of every change; the result ends it. */
  onChange(listener: () => void): () => void
}

/** Everything here is called synchronously and must not throw. */
export interface AnswerSink {
  /** mode text: new visible text, all of one read joined. */
  text?(text: string): void
  /** mode relay: whole SSE frames (`data: …\n\n`) of the provider; never its usage frame nor `[DONE]`. */
  frames?(frames: Buffer): void
  /** The first call of a model is answered with headers 200, or a seam: who speaks now. */
  speaker?(candidate: Candidate): void
  /** A seam in visible text: another model goes on, or starts over (`reset`: forget what was shown). */
  seam(seam: Seam): void
  /** A call of a model has ended, well or not; exactly once per call, also for those that failed silently. */
  ended(segment: Segment): void
  /** Hands over a way to hold the provider's bytes back while the reader cannot take more. */
  flow?(flow: { pause(): void; resume(): void }): void
}

export interface Seam {
  model: string
  /** Why the one before stopped. */
  reason: FailureReason
  reset: boolean
}

export type FailureReason =
  | 'connect_failed'
  | 'connect_timeout'
  | 'first_token_timeout'
  | 'stalled'
  | 'cut_off'
  | 'server_error'
  | 'rate_limited'
  | 'misconfigured'
  | 'garbage'
  | 'no_finish'
  | 'producer_lost'

/** What one call of one model used. Tokens are the provider's own count where it gave one, else ours (`estimated`). */
export interface Segment {
  model: string
  provider: ModelSpec['provider']
  inputTokens: number
  cachedTokens: number
  outputTokens: number
  costUsd: number
  estimated: boolean
  outcome: 'completed' | 'failed' | 'cancelled'
  reason?: FailureReason
  firstTokenMs?: number
  durationMs: number
}

export interface ToolCall {
  index: number
  /** The provider's id; unique only within its answer. */
  id: string
  name: string
  /** JSON text, known to parse to an object; or as it came, with `invalid` saying what is wrong. */
  arguments: string
  invalid?: string
}

/** How the step ended. Rejects with `ParleyError` instead when no model could answer it. */
export interface Answer {
  finish: 'stop' | 'length' | 'content_filter' | 'tool_calls'
  /** The whole visible text, `visible` of the request included unless it was reset. */
  text: string
  /** Empty unless finish is `tool_calls`. */
  toolCalls: readonly ToolCall[]
  /** The model that finished, by its name in the config and by the provider's. */
  model: string
  wire: { id: string; created: number; model: string }
}
