/** Spans of our own: request → turn → call of a model, and attempts of runs. Parents are told as W3C `traceparent`. */
export interface Spans {
  /** Whether anybody is told of them. */
  readonly areOn: boolean
  open(name: string, options: SpanOptions): OpenSpan
}

export interface SpanOptions {
  parent: string | null | undefined
  kind: 'server' | 'client' | 'consumer' | 'internal'
  /** Names and codes only: never content, never ids of people. */
  attributes: SpanAttributes
}

export type SpanAttributes = Readonly<Record<string, string | number>>

export interface OpenSpan {
  /** What is passed on to whatever is done within it. */
  readonly traceparent: string | undefined
  /** Once. `error` is a stable code. */
  end(end?: { attributes?: SpanAttributes; error?: string | undefined }): void
}

/** Nobody listens: who passes a trace on, passes on what it was given. */
export const noSpans: Spans = {
  areOn: false,
  open: (_name, { parent }) => (parent ? new PassedOn(parent) : NOTHING),
}

class PassedOn implements OpenSpan {
  readonly traceparent: string | undefined

  constructor(traceparent: string | undefined) {
    this.traceparent = traceparent
  }

  end(): void {}
}

const NOTHING = new PassedOn(undefined)
