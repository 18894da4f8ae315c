import type { AnswerRequest, AnswerSink, Candidate, Segment } from '#models/answer.ts'
import type { ByteHandler, Flight, Provider, Refusal } from '#models/providers/provider.ts'
import type { ModelSpec } from '#models/schema.ts'

/** One call of a model, played by hand; as after a real one, nothing comes through once it has ended or was aborted. */
export interface ScriptedCall {
  spec: ModelSpec
  body: Record<string, unknown>
  aborted: boolean
  paused: boolean
  start(): void
  /** Pieces of content, each a read of its own; starts the response if need be. */
  text(...pieces: string[]): void
  /** A chunk with this delta. */
  delta(delta: Record<string, unknown>): void
  bytes(raw: string): void
  /** The finish reason, without `[DONE]`. */
  finish(reason?: string): void
  usage(prompt: number, completion: number, cached?: number): void
  done(): void
  end(): void
  /** All that belongs to a good end. */
  complete(reason?: string): void
  refuse(status: number, more?: Partial<Refusal>): void
  fail(reason: 'connect_failed' | 'cut_off' | 'misconfigured'): void
}

export interface ScriptedProbe {
  spec: ModelSpec
  signal: AbortSignal
  succeed(): void
  fail(error: Error): void
}

export interface Script {
  providerFor(): Provider
  readonly calls: ScriptedCall[]
  readonly probes: ScriptedProbe[]
  /** Resolves with call number `count` (from 1) once it is open. */
  opened(count: number): Promise<ScriptedCall>
}

export function scriptedProvider(): Script {
  const calls: ScriptedCall[] = []
  const probes: ScriptedProbe[] = []
  const waiting = new Map<number, (call: ScriptedCall) => void>()
  const provider: Provider = {
    open: ({ spec, body }, handler) => {
      const { call, flight } = scriptedCall(spec, structuredClone(body), handler, `chatcmpl-${calls.length + 1}`)
      calls.push(call)
      waiting.get(calls.length)?.(call)
      return flight
    },
    probe: (spec, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        probes.push({ spec, signal, succeed: resolve, fail: reject })
      }),
    close: async () => {},
  }
  return {
    providerFor: () => provider,
    calls,
    probes,
    opened: (count) => {
      const call = calls[count - 1]
      return call ? Promise.resolve(call) : new Promise((resolve) => waiting.set(count, resolve))
    },
  }
}

function scriptedCall(spec: ModelSpec, body: Record<string, unknown>, handler: ByteHandler, id: string) {
  let over = false
  let started = false
  const chunk = (choices: unknown[], more: object = {}) =>
    call.bytes(
      `data: ${JSON.stringify({ id, object: 'chat.completion.chunk', created: 7, model: 'wire', choices, ...more })}\n\n`,
    )
  const last = (tell: () => void) => {
    if (over) return
    over = true
    tell()
  }
  const call: ScriptedCall = {
    spec,
    body,
    aborted: false,
    paused: false,
    start: () => {
      if (!over && !started) handler.started()
      started = true
    },
    bytes: (raw) => {
      call.start()
      if (!over) handler.data(Buffer.from(raw))
    },
    delta: (delta) => chunk([{ index: 0, delta, finish_reason: null }]),
    text: (...pieces) => {
      for (const content of pieces) call.delta({ content })
    },
    finish: (reason = 'stop') => chunk([{ index: 0, delta: {}, finish_reason: reason }]),
    usage: (prompt_tokens, completion_tokens, cached_tokens = 0) =>
      chunk([], { usage: { prompt_tokens, completion_tokens, prompt_tokens_details: { cached_tokens } } }),
    done: () => call.bytes('data: [DONE]\n\n'),
    end: () => last(() => handler.end()),
    complete: (reason) => {
      call.finish(reason)
      call.usage(10, 5)
      call.done()
      call.end()
    },
    refuse: (status, more) => last(() => handler.refused({ status, retryAfterMs: undefined, body: '', ...more })),
    fail: (reason) => last(() => handler.failed(reason, new Error('scripted'))),
  }
  const flight: Flight = {
    abort: () => {
      over = true
      call.aborted = true
    },
    pause: () => {
      call.paused = true
    },
    resume: () => {
      call.paused = false
    },
  }
  return { call, flight }
}

/** A sink that keeps what it was told; `shown` is what a reader sees, resets obeyed. */
export interface RecordingSink extends AnswerSink {
  readonly events: string[]
  readonly segments: Segment[]
  shown: string
  flows: { pause(): void; resume(): void } | undefined
}

export function recordingSink(): RecordingSink {
  const sink: RecordingSink = {
    events: [],
    segments: [],
    shown: '',
    flows: undefined,
    text: (text) => {
      sink.events.push(`text ${text}`)
      sink.shown += text
    },
    frames: (frames) => {
      sink.events.push('frames')
      sink.shown += relayedText(frames)
    },
    speaker: (candidate) => sink.events.push(`speaker ${candidate.name}`),
    seam: ({ model, reason, reset }) => {
      sink.events.push(`seam ${model} ${reason}${reset ? ' reset' : ''}`)
      if (reset) sink.shown = ''
    },
    ended: (segment) => {
      sink.events.push(`ended ${segment.model} ${segment.outcome}${segment.reason ? ` ${segment.reason}` : ''}`)
      sink.segments.push(segment)
    },
    flow: (flow) => {
      sink.flows = flow
    },
  }
  return sink
}

/** The content of relayed frames, read as a client reads them. */
export function relayedText(frames: Buffer): string {
  return frames
    .toString()
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: '))
    .map((frame) => JSON.parse(frame.slice(6)).choices[0]?.delta.content ?? '')
    .join('')
}

/** A candidate with a deployment of its own, unless `spec` says otherwise. */
export function candidate(name: string, spec: Partial<ModelSpec> = {}): Candidate {
  return {
    name,
    spec: {
      provider: 'openai',
      model: name,
      contextWindow: 100_000,
      continuation: 'prefill',
      price: { input: 2, output: 8 },
      ...spec,
    },
  }
}

export function answerRequest(candidates: readonly Candidate[], more: Partial<AnswerRequest> = {}): AnswerRequest {
  return {
    candidates,
    timers: {},
    parameters: {},
    messages: () => [{ role: 'user', content: 'Hello?' }],
    mode: 'text',
    signal: new AbortController().signal,
    ...more,
  }
}
