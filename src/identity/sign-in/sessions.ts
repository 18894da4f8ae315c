import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import type { Clock } from '#platform/clock.ts'
import { type EntraClient, type SignedIn, SignInNeeded } from '#platform/entra/entra.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Identified } from '../authenticator.ts'
import type { TokenVerifier } from '../entra/token-verifier.ts'
import type { Owner } from '../principal.ts'
import { signInLimits } from '../sign-in.ts'
import type { OwnersSeal } from '../user-tokens/create.ts'
import type { UserTokens } from '../user-tokens.ts'
import { readSessionName, type SessionName } from './session-name.ts'

export interface SessionsOptions {
  entra: EntraClient
  tokens: TokenVerifier
  userTokens: Pick<UserTokens, 'seen'>
  kv: Kv
  sealOf(owner: Owner): Promise<OwnersSeal>
  clock: Clock
}

/** A session at rest: sealed with the key of the person whose it is. */
interface Kept extends SignedIn {
  openedAt: number
  /** When its idle time last began anew. */
  usedAt: number
}

const KNOWN_SESSIONS = 10_000
/** How long a replica goes by what it has read: a session that is ended elsewhere counts here no longer. */
const KNOWN_MS = 1000
/** Its token is renewed so long before it ends, so that roles that were taken away are gone within the life of a token. */
const RENEW_BEFORE_MS = 5 * 60_000
/** The idle time begins anew no more often than this. */
const TOUCH_EVERY_MS = 60_000

/**
 * Sessions of browsers, kept with the person's live state. Each rests on an access token for our own API, which is renewed
 * without asking anybody and verified as any other: a user who was disabled, or lost a role, has it no longer than that token.
 */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #known: LRUCache<string, Promise<Identified>>

  constructor(options: SessionsOptions) {
    this.#options = options
    // Where its time is 0, the cache takes an entry for one without a lifetime.
    const perf = { now: () => options.clock.monotonic() + 1 }
    this.#known = new LRUCache({ max: KNOWN_SESSIONS, ttl: KNOWN_MS, ttlResolution: 0, perf })
  }

  async open(name: SessionName, signedIn: SignedIn): Promise<void> {
    const now = this.#options.clock.now()
    await this.#keep(name, { ...signedIn, openedAt: now, usedAt: now })
  }

  identify(cookie: string): Promise<Identified> {
    const known = this.#known.get(cookie)
    if (known) return known
    const identified = this.#identify(cookie)
    this.#known.set(cookie, identified)
    identified.catch(() => {
      if (this.#known.peek(cookie) === identified) this.#known.delete(cookie)
    })
    return identified
  }

  async end(cookie: string): Promise<void> {
    this.#known.delete(cookie)
    const name = readSessionName(cookie)
    if (name) await this.#options.kv.delete(name.at)
  }

  async #identify(cookie: string): Promise<Identified> {
    const { clock, kv, tokens, userTokens, sealOf } = this.#options
    const name = readSessionName(cookie)
    const found = name && (await kv.get(name.at))
    if (!name || !found) throw sessionOver()
    const seal = await sealOf(name.owner)
    let kept = opened(seal, found.value, name.at)
    const now = clock.now()
    const until = kept.openedAt + signInLimits.absoluteMs
    if (now >= until || now >= kept.usedAt + signInLimits.idleMs) {
      await kv.delete(name.at)
      throw sessionOver()
    }
    const renewed = kept.expiresAt - now < RENEW_BEFORE_MS ? await this.#renewed(name, kept) : kept
    if (!renewed) {
      if (await kv.delete(name.at, { ifVersion: found.version })) throw sessionOver()
      // Another replica renewed it from what we had as well: what it kept is the session now.
      return this.#identify(cookie)
    }
    if (renewed !== kept || now - kept.usedAt >= TOUCH_EVERY_MS) {
      kept = { ...renewed, usedAt: now }
      // Another replica may have been quicker: then its word stands.
      await this.#keep(name, kept, found.version)
    }
    const { principal } = await tokens.verify(kept.token)
    userTokens.seen(principal, kept.token, kept.expiresAt)
    // A stream asks nobody again: it ends with the token, and whoever may still have a session resumes with the next.
    return { principal, until: Math.min(until, kept.expiresAt) }
  }

  /** What it rests on anew, undefined when only the person can help; with the authority away, as it is for as long as it lasts. */
  async #renewed(name: SessionName, kept: Kept): Promise<Kept | undefined> {
    const { entra, clock } = this.#options
    try {
      return {
        ...kept,
        ...(await entra.renew({ tenant: name.owner.tenant, account: kept.account, cache: kept.cache })),
      }
    } catch (error) {
      if (error instanceof SignInNeeded) return undefined
      if (kept.expiresAt > clock.now()) return kept
      throw error
    }
  }

  async #keep(name: SessionName, kept: Kept, ifVersion = 0): Promise<void> {
    const { kv, sealOf, clock } = this.#options
    const seal = await sealOf(name.owner)
    const endsAt = Math.min(kept.usedAt + signInLimits.idleMs, kept.openedAt + signInLimits.absoluteMs)
    const ttlMs = Math.max(1, Math.ceil(endsAt - clock.now()))
    await kv.put(name.at, seal.seal(JSON.stringify(kept), name.at), { ifVersion, ttlMs })
  }
}

/** A person who was erased has another key, which opens nothing of before. */
function opened(seal: OwnersSeal, sealed: Uint8Array, place: string): Kept {
  try {
    return JSON.parse(seal.unseal(sealed, place).toString())
  } catch (error) {
    throw error instanceof ParleyError && error.code === 'sealed_unreadable' ? sessionOver() : error
  }
}

function sessionOver(): ParleyError {
  return new ParleyError('unauthenticated', { message: 'The session is over; sign in again.' })
}
