import type { Answer, AnswerRequest, AnswerSink, Candidate } from './answer.ts'

/** The public face of `models/`: answers from routes of models that may fail. Made by `createModels` (see `create.ts`). */
export interface Models {
  answer(request: AnswerRequest, sink: AnswerSink): Promise<Answer>
  /** Tells which deployments are in use, so that open circuits are probed and health is shown; called at each config change. */
  use(candidates: readonly Candidate[]): void
  health(): ModelHealth[]
  /** By hand: opens, closes, or gives the circuit back to the breaker. Undefined for an unknown name. */
  setCircuit(name: string, state: 'open' | 'closed' | 'auto'): ModelHealth | undefined
  close(): Promise<void>
}

/** One deployment as this replica sees it. Durations in ms over the last 5 minutes, undefined without samples. */
export interface ModelHealth {
  name: string
  provider: string
  circuit: 'closed' | 'open' | 'half-open'
  /** Set while an operator holds the circuit. */
  held: boolean
  firstTokenMs: { p50: number | undefined; p95: number | undefined }
  calls: number
  failures: number
  /** Times another model had to take over from this one. */
  failovers: number
  active: number
  queued: number
  lastFailure: { reason: string; at: number } | undefined
  /** Until when a 429 keeps calls away, ms since the epoch. */
  coolingUntil: number | undefined
}
