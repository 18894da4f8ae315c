/** What is recorded, as much as is needed of the facts that the root hands in. */

/** A turn that has ended, or a request that was passed through. */
export interface EndedTurn {
  /** Its specialist or route, by its name in the config version. */
  addressee: string
  config: string
  arm: string
  status: string
  /** Why it failed, from the catalogue. */
  code: string | null
  segments: readonly SpentSegment[]
  /** ms; null where nothing became visible, or nobody saw both ends. */
  firstTokenMs: number | null
  startedAt: number
  endedAt: number
}

/** One call of a model. */
export interface SpentSegment {
  /** Its name in the config version. */
  model: string
  inputTokens: number
  outputTokens: number
  costUsd: number
  /** Absent where only the bill is told. */
  call?: CallFigures
}

export interface CallFigures {
  provider: string
  outcome: 'completed' | 'failed' | 'cancelled'
  reason?: string | undefined
  firstTokenMs?: number | undefined
  durationMs: number
}

export interface SettledRun {
  action: string
  status: string
  reason: string | null
  config: string
  arm: string
}
