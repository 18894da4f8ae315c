import type { Principal } from '#identity/principal.ts'

/** The public face of shadows: a version is tried on copies of live turns. Roles are checked here: Config.Operator or Admin. */
export interface Shadows {
  /** What is tried, and what it came to so far. Rejects with state_unavailable. */
  view(): Promise<ShadowView>
  /**
   * Begins to try a version. Rejects with forbidden, config_not_found, config_invalid, invalid_request (more than the environment
   * permits), rollout_state (one is tried already, or it is what serves everyone), second_operator_needed, version_conflict.
   */
  start(by: Principal, request: ShadowStart): Promise<ShadowView>
  /** Copies under way are given up. Rejects with forbidden, rollout_state (nothing is tried), version_conflict. */
  stop(by: Principal, request: { reason: string; ifMatch: string }): Promise<ShadowView>
}

export interface ShadowStart {
  version: string
  /** Percent of turns that are copied, above 0. */
  share: number
  /** What all copies together may cost. */
  budgetUsd: number
  /** How many copies are made at most. */
  turns: number
  /** `ShadowView.etag`. */
  ifMatch: string
}

export interface LiveShadow {
  id: string
  version: string
  hash: string
  share: number
  budgetUsd: number
  turns: number
  startedAt: number
  startedBy: string
  /** When it ends by itself. */
  until: number
}

export interface FinishedShadow extends LiveShadow {
  endedAt: number
  /** What ended it: its count, its budget, its time, or a person. */
  ended: 'turns' | 'budget' | 'time' | 'stopped'
  reason: string
}

export interface ShadowView {
  /** Of what is tried, not of its figures; what `If-Match` names. */
  etag: string
  live: LiveShadow | null
  /** Newest first, at most 20. */
  finished: readonly FinishedShadow[]
  /** Of what is tried now, or else was tried last; null before the first, and once its figures are gone. */
  comparison: ShadowComparison | null
  /** The most that the environment permits. */
  limits: { budgetUsd: number; turns: number }
}

/** Figures alone: of what was said nothing is kept. Both sides are of the same turns, each of its first step. */
export interface ShadowComparison {
  shadow: string
  version: string
  /** Copies: begun, compared, and those whose replica never told what they came to. */
  turns: { taken: number; compared: number; lost: number }
  /** `held`: the most that copies under way may come to. */
  costUsd: { spent: number; held: number }
  /** Turns that were drawn and not copied, by reason; about, and of replicas that copied something since. */
  skipped: Readonly<Record<string, number>>
  /** Mean share of words that both answers have, 0 to 1, where both said something; null without such. */
  overlap: number | null
  served: SideFigures
  shadowed: SideFigures
  actions: readonly { action: string; served: CallFigures; shadowed: CallFigures }[]
}

export interface SideFigures {
  /** How answers ended, in numbers of turns: `stop`, `tool_calls`, `length`, `content_filter`. */
  finishes: Readonly<Record<string, number>>
  /** The others, by error code. */
  failures: Readonly<Record<string, number>>
  /** Means a turn. */
  characters: number
  inputTokens: number
  outputTokens: number
  costUsd: number
  /** From the call of the model; null where nobody spoke. */
  firstTokenMs: { p50: number; p90: number } | null
}

export interface CallFigures {
  calls: number
  /** `would-run`, `needs-approval`, or why it is refused. */
  outcomes: Readonly<Record<string, number>>
  /** How often each argument was given. */
  arguments: Readonly<Record<string, number>>
}

/** What chat asks of it: which version is tried, and leave for each copy. All of a budget is kept here. */
export interface ShadowBook {
  /** From memory: asked with every turn. */
  live(): LiveShadow | undefined
  /**
   * Books the most that a copy may come to. Undefined where it may not be made: the budget is used up, or somebody has ended it.
   * Rejects with state_unavailable.
   */
  take(shadow: LiveShadow, mostUsd: number): Promise<Taken | undefined>
  /** Gives back what was not spent. Null where there is nothing to compare. Rejects with state_unavailable: then all of it counts as spent. */
  settle(taken: Taken, spentUsd: number, compared: Compared | null): Promise<void>
  /** Notes why a turn that was drawn is not copied. */
  skipped(shadow: LiveShadow, reason: SkipReason): void
  /** Hears when a person has ended it; the result ends that. */
  onStop(listener: (shadow: string) => void): () => void
}

/** `busy`: as many as may are under way here. `loaded`: replica or models have enough to do. */
export type SkipReason =
  | 'no-consent'
  | 'busy'
  | 'loaded'
  | 'own-tools'
  | 'same-version'
  | 'version-missing'
  | 'specialist-missing'
  | 'too-long'
  | 'stopped'
  | 'budget-held'

export interface Taken {
  id: string
  shadow: string
}

export interface Compared {
  served: Side
  shadowed: Side
  /** Null where one of them said nothing. */
  overlap: number | null
}

/** One answer of a model, in figures. */
export interface Side {
  finish: string | null
  /** Why there is none. */
  failure: string | null
  characters: number
  inputTokens: number
  outputTokens: number
  costUsd: number
  firstTokenMs: number | null
  /** `action`: null for what the version does not have. */
  calls: readonly { action: string | null; outcome: string; arguments: readonly string[] }[]
}
