import type { ConfigVersion } from './document.ts'

export type Arm = 'stable' | 'canary'

/** What a conversation, or a turn that stands alone, is served from, and where it counts. */
export interface Assignment {
  config: ConfigVersion
  arm: Arm
  /**
   * `rollout.step` at whose weight it was drawn; `''` outside of a rollout, and where no draw decided, but what only one version
   * has; `picked` where a person chose the version. Neither of these is ever counted.
   */
  cohort: string
}

/** An assignment as a conversation keeps it. */
export interface Pin {
  /** Name of the version. */
  config: string
  arm: Arm
  cohort: string
}

/** Which version serves whom. All from memory, in microseconds. */
export interface Serving {
  /** What everyone gets outside of a rollout. */
  stable(): ConfigVersion
  /** The version on its way, while its rollout lasts. */
  candidate(): ConfigVersion | undefined
  /** Draws the arm by salted hash of the unit: the same unit gets the same arm as long as the step lasts. */
  assign(unit: string): Assignment
  /**
   * The named version, not counted. Throws config_not_found; and forbidden, where `by`, the id of who asks for it now, would be alone
   * in serving what guards less than stable does.
   */
  pick(version: string, by?: string): Assignment
  /**
   * What a pin means now: itself while its rollout lasts (or where it was picked), else the stable version: so a rollback takes
   * the conversations of the canary along at their next turn.
   */
  resolve(pin: Pin): Assignment
  /** Whether the version was rolled back at or after about this time, ms since the epoch: what was approved under it has to be approved anew. */
  rolledBackSince(version: string, at: number): boolean
  /** All that anyone is served from at present: stable first, the candidate, and what was picked lately. */
  inUse(): readonly ConfigVersion[]
  /** Hears of each change of what is served; the result ends it. */
  onChange(listener: () => void): () => void
}
