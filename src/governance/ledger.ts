import type { RelayEnded, TurnEnded } from '#events/events.ts'

/**
 * What was spent, call by call, as receipts have it. It names nobody: people are `partitionOf`. In PostgreSQL where there is one,
 * else in the live state's store. Made by `openLedger` (see `ledger/open.ts`).
 */
export interface Ledger {
  /**
   * Resolves once what the turn cost is kept; told again, it is kept once. Rejects when it is not to be had at present
   * (database_unavailable, state_unavailable): whoever tells tells again.
   */
  turnEnded(turn: TurnEnded): Promise<void>
  /** Told once: kept in memory until it is taken, within bounds, and lost with the process. */
  relayEnded(relay: RelayEnded): void
  /** A copy of a turn, asked of a version in the shadow: as a relay, but nobody's, and paid from the shadow's own budget. */
  copyEnded(copy: CopyEnded): void
  /**
   * USD from `since` (ms) on: of the tenant, or of what a person (`partitionOf`) or somebody of an Entra group spent; without copies
   * in the shadow, which no budget but their own pays.
   */
  spent(tenant: string, whose: Spender, since: number): Promise<number>
  /** Sums by day (UTC), specialist and model. */
  usage(tenant: string, whose: { user?: string }, period: Period): Promise<UsageSum[]>
  /** Their sum: exact, where sums of sums that are rounded to numbers would not be. */
  total(tenant: string, whose: { user?: string }, period: Period): Promise<UsageTotal>
  /** Call by call in order of time, in pages. */
  entries(tenant: string, period: Period): AsyncIterable<LedgerEntry[]>
  /** A person's figures stay, and are nobody's from then on; resolves with how many. */
  disown(tenant: string, user: string): Promise<number>
  /**
   * Takes entries out that are older than that (ms since the epoch), some at a time; resolves with how many. Where the live state
   * keeps them they go by themselves, month by month.
   */
  prune(before: number): Promise<number>
  /** The process is about to end: what is told from now on is kept without waiting for company. */
  hurry(): void
  /** Waits for what can be kept at once. */
  close(): Promise<void>
}

export type Spender = { user?: string; group?: undefined } | { user?: undefined; group: string }

/** What a copy of a turn cost. */
export interface CopyEnded extends Pick<TurnEnded, 'tenant' | 'specialist' | 'config' | 'segments' | 'endedAt'> {
  copy: string
}

/** ms since the epoch; `to` is not part of it. */
export interface Period {
  from: number
  to: number
}

/** One call of a model. */
export interface LedgerEntry {
  /** Of the turn, or of what was passed through. */
  turn: string
  /** Counted from 0 within the turn: its place in the receipt. */
  segment: number
  /** When the turn ended. */
  at: number
  /** `partitionOf`; empty once it was disowned. */
  user: string
  /** Ids of Entra groups, where the token named them. */
  groups: readonly string[]
  /** Or the route that was asked for. */
  specialist: string
  config: string
  /** `shadow`: a copy, of which nobody saw the answer. */
  arm: 'stable' | 'canary' | 'shadow'
  model: string
  inputTokens: number
  outputTokens: number
  /** As the receipt has it. */
  costUsd: number
  outcome: 'completed' | 'failed' | 'cancelled'
  /** Counted by us, where the provider gave no count. */
  estimated: boolean
}

export interface UsageSum extends UsageTotal {
  /** `YYYY-MM-DD`. */
  day: string
  specialist: string
  model: string
  /** Copies in the shadow, which are summed apart. */
  shadow?: true
}

export interface UsageTotal {
  calls: number
  inputTokens: number
  outputTokens: number
  costUsd: number
}
