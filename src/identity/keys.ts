import type { Tx } from '#platform/sql/sql.ts'
import type { Identified } from './authenticator.ts'
import type { KeyGrant, Owner, Principal } from './principal.ts'

/**
 * Keys for tools that can hold nothing but a static one. A key is a principal of its own, an application without a user behind it:
 * it talks and calls actions within what it was made for, never operates, and decides on no approval, which is for people. Made by
 * `createKeys` (see `keys/create.ts`).
 */
export interface Keys {
  /**
   * Whose this text is; from memory where it is known, at most a minute. Throws, or rejects with, unauthenticated; state_unavailable
   * where it cannot be told whether it was revoked, database_unavailable where it cannot be looked up.
   */
  verify(text: string): Identified | Promise<Identified>
  /** Whether it may still be acted for this principal, as it stands now; always for who is no key. Rejects as `verify` does. */
  isLive(principal: Principal): Promise<boolean>
  /**
   * The same `request` again is answered with the key that it made, without its text. Rejects with forbidden, key_scope,
   * too_many_keys, idempotency_mismatch, database_unavailable, as all that follow.
   */
  create(by: Principal, wish: KeyWish, request?: string): Promise<IssuedKey>
  /** Newest first; those that have ended stay listed for 90 days. */
  list(by: Principal, page: KeyPage): Promise<{ items: KeyView[]; next: string | null }>
  /** One's own, or of one's tenant for an Admin. Rejects with key_not_found. */
  get(by: Principal, id: string): Promise<KeyView>
  /**
   * A new text for one's own key; the one before goes on for the overlap, and one before that ends at once. Where it fails, they
   * go on as before. Rejects with key_not_found, key_state, version_conflict, state_unavailable.
   */
  rotate(by: Principal, id: string, rotation: Rotation, ifVersion: number): Promise<IssuedKey>
  /**
   * One's own, or any of the tenant for an Admin: on every replica within a second, with what it has under way. Safe to repeat.
   * Rejects with key_not_found, state_unavailable; then it is to be asked for again.
   */
  revoke(by: Principal, id: string): Promise<void>
  /** All that a person has made. */
  ofOwner(owner: Owner): AsyncIterable<KeyView>
  /** The person is erased: their keys are revoked and say no more whose they were. Resolves with how many there were. */
  disown(owner: Owner): Promise<number>
  close(): Promise<void>
}

export interface KeyWish extends Pick<KeyGrant, 'chat' | 'actions' | 'budget'> {
  name: string
  days: number
}

export interface Rotation {
  overlapMinutes: number
  /** From now on; its end stays when absent. */
  days?: number
}

export interface KeyPage {
  whose: 'mine' | 'tenant'
  /** Of the tenant's, those of one person. */
  owner?: string
  limit: number
  cursor?: string
}

export interface KeyView extends Pick<KeyGrant, 'chat' | 'actions' | 'budget'> {
  id: string
  name: string
  /** Null once erased. */
  owner: string | null
  status: 'live' | 'expired' | 'revoked'
  createdAt: number
  expiresAt: number
  rotatedAt: number | null
  /** Until when the text before the last rotation is taken; null where it is not. */
  oldTextUntil: number | null
  revokedAt: number | null
  /** To the hour. */
  usedAt: number | null
  version: number
}

export interface IssuedKey {
  view: KeyView
  /** Shown this once; undefined where it was shown before. */
  text: string | undefined
}

export const keyLimits = {
  perOwner: 20,
  perTenant: 1000,
  /** Made by one person within a day, also those that have ended since. */
  perOwnerADay: 100,
  nameLength: 100,
  /** Of each scope. */
  names: 50,
  days: { default: 90, most: 365 },
  overlapMinutes: { default: 24 * 60, most: 7 * 24 * 60 },
} as const

/** What was done to a key, to be kept with it in one transaction. */
export interface KeyDone {
  kind: 'created' | 'rotated' | 'revoked'
  /** Null for the process itself. */
  by: Owner | null
  tenant: string
  key: string
  details: Readonly<Record<string, string | number | null>>
}

export type RecordKey = (tx: Tx, done: KeyDone) => Promise<void>

/** Where it is told, to every replica within half a second, what was withdrawn or called in question; see `#governance/stops.ts`. */
export interface Withdrawals {
  get(scope: string): { at: number } | undefined
  set(stop: { scope: string; reason: string; by: string | null; at: number; until: number }): Promise<void>
  /** Hears of every change; the result ends it. */
  onChange(listener: () => void): () => void
  /** Since the store was last heard of. */
  readonly silentMs: number
  /** The last time that it was asked, it was out of reach. */
  readonly isAway: boolean
  /** Rejects with state_unavailable. */
  look(): Promise<void>
}
