import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { type EntraClient, type SignedIn, SignInNeeded } from '#platform/entra/entra.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Identified } from '../authenticator.ts'
import type { OwnersSeal } from '../owners-seal.ts'
import type { Owner } from '../principal.ts'
import { signInLimits } from '../sign-in.ts'
import type { UserTokens } from '../user-tokens.ts'
import { readSessionName, type SessionName } from './session-name.ts'
import { createSessionStore, endOf, type Kept, type SessionStore } from './session-store.ts'
import { SessionWatch } from './session-watch.ts'

export interface SessionsOptions {
  entra: Pick<EntraClient, 'renew'>
  tokens: { verify(token: string): Promise<Identified> }
  userTokens: Pick<UserTokens, 'seen'>
  kv: Kv
  sealOf(owner: Owner): Promise<OwnersSeal>
  clock: Clock
  log: Log
}

/** A session as the store had it at a time (monotonic ms). */
interface Standing {
  kept: Kept
  readAt: number
}

const KNOWN_SESSIONS = 10_000
/** How long a replica goes by what it has read: a session that is ended elsewhere counts here no longer. */
const KNOWN_MS = 1000
/** Its token is renewed so long before it ends, so that roles that were taken away are gone within the life of a token. */
const RENEW_BEFORE_MS = 5 * 60_000
/** An authority that is away is not asked again for so long, while the token lasts. */
const AWAY_MS = 30_000
/** The idle time begins anew no more often than this. */
const TOUCH_EVERY_MS = 60_000

/**
 * Sessions of browsers, kept with the person's live state. Each rests on an access token for our own API, which is renewed
 * without asking anybody and verified as any other: a user who was disabled, or lost a role, has it no longer than that token.
 *
 * Replicas may renew one at the same time. Each writes only over what it has read, and whoever comes second looks at what the
 * first wrote: of two renewals the later is kept, with the refresh token that came with it.
 */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #store: SessionStore
  readonly #watch: SessionWatch
  readonly #known: LRUCache<string, Identified>
  readonly #identifying = new Map<string, Promise<Identified>>()
  #askAgainAt = Number.NEGATIVE_INFINITY

  constructor(options: SessionsOptions) {
    this.#options = options
    this.#store = createSessionStore(options)
    this.#watch = new SessionWatch(options)
    // Where its time is 0, the cache takes an entry for one without a lifetime.
    const perf = { now: () => options.clock.monotonic() + 1 }
    this.#known = new LRUCache({ max: KNOWN_SESSIONS, ttl: KNOWN_MS, ttlResolution: 0, perf })
  }

  /** For who began to sign in then (ms since the epoch); rejects with unauthenticated where all of theirs were ended meanwhile. */
  async open(name: SessionName, signedIn: SignedIn, since = this.#options.clock.now()): Promise<void> {
    const now = this.#options.clock.now()
    await this.#store.open(name, { ...signedIn, openedAt: now, renewedAt: now, usedAt: now }, since)
  }

  async identify(cookie: string): Promise<Identified> {
    const known = this.#known.get(cookie)
    if (known) return known
    const under = this.#identifying.get(cookie)
    if (under) return under
    const identifying = this.#identify(cookie).finally(() => this.#identifying.delete(cookie))
    this.#identifying.set(cookie, identifying)
    return identifying
  }

  async end(cookie: string): Promise<void> {
    this.#known.delete(cookie)
    const name = readSessionName(cookie)
    if (name) await this.#store.end(name)
  }

  /** All of a person; resolves with how many there were. */
  endAll(owner: Owner): Promise<number> {
    return this.#store.endAll(owner)
  }

  async #identify(cookie: string): Promise<Identified> {
    const { tokens, userTokens } = this.#options
    const name = readSessionName(cookie)
    if (!name) throw sessionOver()
    const { kept, readAt } = await this.#standing(name)
    const { principal } = await tokens.verify(kept.token)
    userTokens.seen(principal, kept.token, kept.expiresAt)
    const identified: Identified = {
      principal,
      // A stream asks nobody again: it ends with the token, and whoever may still have a session resumes with the next.
      until: Math.min(kept.openedAt + signInLimits.absoluteMs, kept.expiresAt),
      onEnded: (listener) => this.#watch.watch(name.at, listener),
    }
    this.#known.set(cookie, identified, { start: readAt + 1 })
    return identified
  }

  /** The session with a token that lasts, and its idle time begun anew; throws where it is over. */
  async #standing(name: SessionName): Promise<Standing> {
    const { clock } = this.#options
    for (;;) {
      const readAt = clock.monotonic()
      const found = await this.#store.read(name)
      if (!found) throw sessionOver()
      const { kept, version } = found
      const now = clock.now()
      if (now >= endOf(kept)) {
        await this.#store.drop(name, version)
        throw sessionOver()
      }
      const renewed = kept.expiresAt - now < RENEW_BEFORE_MS ? await this.#renewed(name, kept) : kept
      if (renewed === kept && now - kept.usedAt < TOUCH_EVERY_MS) return { kept, readAt }
      if (renewed) return this.#write(name, { ...renewed, usedAt: now }, version)
      if (await this.#store.drop(name, version)) throw sessionOver()
      // Another replica renewed it from what we had as well: what it kept is the session now.
    }
  }

  /** Until it stands as written, or another replica's word does. */
  async #write(name: SessionName, ours: Kept, read: number): Promise<Standing> {
    for (let version = read; ; ) {
      const readAt = this.#options.clock.monotonic()
      if (await this.#store.replace(name, ours, version)) return { kept: ours, readAt }
      const theirs = await this.#store.read(name)
      if (!theirs) throw sessionOver()
      if (theirs.kept.renewedAt > ours.renewedAt) return { kept: theirs.kept, readAt }
      version = theirs.version
    }
  }

  /** What it rests on anew, undefined when only the person can help; with the authority away, as it is for as long as it lasts. */
  async #renewed(name: SessionName, kept: Kept): Promise<Kept | undefined> {
    const { entra, clock } = this.#options
    if (kept.expiresAt > clock.now() && clock.monotonic() < this.#askAgainAt) return kept
    try {
      const { account, cache } = kept
      const renewed = await entra.renew({ tenant: name.owner.tenant, account, cache })
      return { ...kept, ...renewed, renewedAt: clock.now() }
    } catch (error) {
      if (error instanceof SignInNeeded) return undefined
      this.#askAgainAt = clock.monotonic() + AWAY_MS
      if (kept.expiresAt > clock.now()) return kept
      throw error
    }
  }
}

function sessionOver(): ParleyError {
  return new ParleyError('unauthenticated', { message: 'The session is over; sign in again.' })
}
