import type { Owner, Principal } from './principal.ts'

/**
 * Tokens for internal tools, on behalf of users. A user lends us the token that a request came with, until it expires; with it we
 * ask for others, also on another replica. It never falls back to an identity of ours.
 */
export interface UserTokens {
  /** A user is here, with this token of our API, until then (ms since the epoch). Costs nothing when it is not the first time. */
  seen(user: Principal, token: string, until: number): void
  /**
   * A token for `scope` that lasts for some minutes at least. Rejects with `SignInNeeded` when there is none to be had before the
   * user is seen again, with identity_unavailable or state_unavailable when it cannot be told.
   */
  tokenFor(owner: Owner, scope: string): Promise<string>
  /** What a user lent us, or lends us for so long, is there no more: what is done for them waits until they come again after that. */
  forget(owner: Owner, graceMs?: number): Promise<void>
  /** Hears of users who came with a token that was not known, and of those for whom a token was had; the result ends it. */
  onUsable(listener: (user: Owner) => void): () => void
}
