import type { Owner, Principal } from '#identity/principal.ts'

/** What a person may agree to, and take back. Nothing is agreed to before it was said. */
export const purposes = ['memory', 'shadow', 'experiments', 'analytics'] as const
export type Purpose = (typeof purposes)[number]

/** Made by `createConsents` (see `privacy/consents.ts`). */
export interface Consents {
  /**
   * For every turn: remembered for two seconds, after which a change counts on every replica. Never rejects: where it cannot be
   * known, there is none.
   */
  has(owner: Owner, purpose: Purpose): Promise<boolean>
  /** Rejects with database_unavailable, state_unavailable. */
  list(owner: Owner): Promise<Consent[]>
  /** Rejects like `list`, and with version_conflict when somebody else changes them all the time. */
  change(person: Principal, changes: Partial<Record<Purpose, boolean>>): Promise<Consent[]>
}

export interface Consent {
  purpose: Purpose
  given: boolean
  /** ms since the epoch; null when nothing was ever said. */
  since: number | null
  /** Oldest first. */
  history: readonly { given: boolean; at: number }[]
}

/** Made by `createErasures` (see `privacy/erasures.ts`). */
export interface Erasures {
  /**
   * Erases a person, asked by themselves or by an officer of their tenant. Resolves with the proof, or, where a place is out of
   * reach, with how far it is: then it goes on by itself, on whichever replica. Rejects with database_unavailable or
   * state_unavailable when it cannot be noted that it is to be done; then nothing is.
   */
  erase(by: Principal, owner: Owner): Promise<Erasure>
  /** The last one; rejects with erasure_not_found. */
  of(owner: Owner): Promise<Erasure>
  close(): Promise<void>
}

export interface Erasure {
  status: 'running' | 'erased'
  /** `partitionOf` the person: who knows whom it was about can tell, and nobody else. */
  person: string
  requestedAt: number
  finishedAt: number | null
  /** What was erased where; the last of a place says when there was nothing more. */
  places: readonly ErasedPlace[]
}

export interface ErasedPlace {
  place: string
  /** Rows, keys or records. */
  erased: number
  at: number
}

/** A place that has something of people. Called again until it finds nothing more, and after a crash; safe to repeat. */
export interface Eraser {
  place: string
  /** Resolves with how much there was. */
  erase(owner: Owner): Promise<number>
}

/** A part of what is known about a person. */
export interface Exporter {
  /** The member of the export. */
  part: string
  items(person: Principal): AsyncIterable<unknown>
}

/**
 * Everything about a person as pieces of one JSON document; nothing of it is held in memory but the item at hand. Made by
 * `createExports` (see `privacy/export.ts`).
 */
export interface Exports {
  /** Rejects before the first piece where the audit log cannot be written. */
  of(by: Principal, person: Principal): Promise<AsyncIterable<string>>
}
