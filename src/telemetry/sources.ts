/** What is looked at when metrics are asked for. Names are those of config versions, never of people. */
export interface Sources {
  /** Runs by status; rejects while the database is out of reach. */
  runs(): Promise<readonly RunFigure[]>
  /** What the broker gave up; nothing while that cannot be told. Rejects while the broker is out of reach. */
  brokerDeadLetters(): Promise<readonly LetterFigure[]>
  liveTurns(): number
  openStreams(): number
  /** What keeps this replica from taking anything new, if something does, and what it has refused for that. */
  shedding(): { cause: string | undefined; refused: number }
  /** Alerts that were raised, and how telling of them went. */
  alerts(): {
    raised: readonly { severity: string; kind: string; count: number }[]
    delivered: readonly { channel: string; outcome: string; count: number }[]
  }
  models(): readonly ModelFigure[]
  /** What the figures say of the rollout that is under way, if one is. */
  verdict(): string | undefined
  /** By name, whether each is in reach. */
  dependencies(): Readonly<Record<string, boolean>>
}

export interface RunFigure {
  status: string
  count: number
  /** How long the longest of them has had its status. */
  oldestAgeMs: number
}

export interface LetterFigure {
  count: number
  /** How long ago the oldest of them was sent. */
  oldestAgeMs: number
}

export interface ModelFigure {
  name: string
  circuit: string
  active: number
  queued: number
  failovers: number
}
