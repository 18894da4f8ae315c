import type { Plan } from './steering.ts'

/** `completions`: `POST /v1/chat/completions`. `turns`: Parley's own events, each stream a turn of a conversation of its own. */
export type Dialect = 'completions' | 'turns'

/** A bounded load on one server. */
export interface Job {
  dialect: Dialect
  /** `http://host:port` of the server under load. */
  url: string
  /** Where cancel commands go; another replica of the same, or `url`. */
  cancelUrl?: string
  /** Where to ask what was aborted. */
  upstreamUrl: string
  plan: Omit<Plan, 'id'>
  streams: number
  atOnce: number
  /** The first `atOnce` streams begin spread over this. */
  rampMs: number
  /** Gives each answer up after so many tokens. */
  cancelAfter?: number
  /** Keeps all streams open for so long once each has begun, then leaves. Needs `atOnce` = `streams`. */
  holdMs?: number
  /** For streams that the mock upstream does not write: only that each begins is checked. */
  message?: string
  /** The specialist, or the route on `/v1`. */
  to: string
}

export interface LoadReport {
  seconds: number
  /** Answered to their end, or given up as the job said. */
  completed: number
  tokens: number
  /** What went wrong, by kind; empty when all was well. */
  faults: Record<string, number>
  firstByteMs: Spread
  firstTokenMs: Spread
  /** Between two reads of one stream that brought tokens. */
  gapMs: Spread
  /** Of each stream, from its first token to its last. */
  tokensPerSecond: Spread
  /** CPU time of the load generator itself. */
  ownCpuMs: number
  /** From giving up to the upstream's socket closing; those it was never told of count as `never cancelled` in `faults`. */
  cancelMs: Spread
}

export interface Spread {
  count: number
  min: number
  p50: number
  p95: number
  p99: number
  max: number
}

/**
 * To the load generator, and back: `prepare` → `prepared`, `start` → (`holding` → `leaving` →) `ended`, `check` → `checked`. What comes
 * before and after does not disturb what is measured between `start` and `ended`.
 */
export type ToLoad = { do: 'prepare'; job: Job } | { do: 'start' } | { do: 'check' }
export type FromLoad =
  | { is: 'prepared' }
  | { is: 'holding' }
  | { is: 'leaving' }
  | { is: 'ended' }
  | { is: 'checked'; report: LoadReport }
  | { is: 'failed'; why: string }
