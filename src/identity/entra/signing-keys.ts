import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'

export interface SigningKeysOptions {
  /** Of the issuer: where its OpenID configuration is. */
  discovery: URL
  fetch: typeof fetch
  /** Hears of each try to no avail, but for a first one that nobody has to notice, and once when that is over. */
  onAway?: ((away: { hasKeys: boolean; isOver: boolean }) => void) | undefined
  clock: Clock
  log: Log
}

/** Known keys are asked for anew after this long, while they go on being used. */
const REFRESH_MS = 60 * 60_000
/** And without an answer, for no longer than this. */
const STALE_MS = 24 * 60 * 60_000
/** A key that is not known may be new; whoever makes keys up is not to make us ask for each. */
const COOLDOWN_MS = 30_000
const FETCH_TIMEOUT_MS = 5000
const MAX_BYTES = 1 << 20

interface Known {
  keys: JWTVerifyGetKey
  at: number
}

/**
 * The keys that one issuer signs with. They follow its rotation without a restart: a key that is not known is looked for once,
 * and those that are known are asked for anew every hour. With the issuer away, known keys keep working for a day; without any,
 * identity_unavailable.
 */
export class SigningKeys {
  readonly #options: SigningKeysOptions
  #known: Known | undefined
  #triedAt = Number.NEGATIVE_INFINITY
  #failures = 0
  #fetching: Promise<void> | undefined

  constructor(options: SigningKeysOptions) {
    this.#options = options
  }

  /** As `jose` asks for a key. */
  readonly get: JWTVerifyGetKey = async (header, token) => {
    const known = await this.#current()
    try {
      return await known.keys(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      await this.#refresh()
      if (!this.#known || this.#known === known) throw error
      return await this.#known.keys(header, token)
    }
  }

  async #current(): Promise<Known> {
    const now = this.#options.clock.monotonic()
    const age = this.#known ? now - this.#known.at : Number.POSITIVE_INFINITY
    if (age > REFRESH_MS) {
      const refreshed = this.#refresh()
      if (age > STALE_MS) await refreshed
    }
    if (this.#known && this.#options.clock.monotonic() - this.#known.at <= STALE_MS) return this.#known
    throw new ParleyError('identity_unavailable', { retryAfterMs: COOLDOWN_MS })
  }

  /** Never rejects. One at a time, and none soon after another. */
  #refresh(): Promise<void> {
    const { clock, log, onAway } = this.#options
    if (this.#fetching) return this.#fetching
    // Without any key, nobody gets in: those who wait are not told to come back in half a minute.
    const cooldownMs = this.#known ? COOLDOWN_MS : 1000
    if (clock.monotonic() - this.#triedAt < cooldownMs) return Promise.resolve()
    this.#triedAt = clock.monotonic()
    this.#fetching = this.#fetch()
      .then(
        (keys) => {
          this.#known = { keys: createLocalJWKSet(keys), at: clock.monotonic() }
          if (this.#failures > 1) onAway?.({ hasKeys: true, isOver: true })
          this.#failures = 0
        },
        (error: unknown) => {
          log.warn({ err: error }, 'The signing keys of the identity provider could not be fetched')
          this.#failures += 1
          const hasKeys = this.#known !== undefined && clock.monotonic() - this.#known.at <= STALE_MS
          if (this.#failures > 1) onAway?.({ hasKeys, isOver: false })
        },
      )
      .finally(() => {
        this.#fetching = undefined
      })
    return this.#fetching
  }

  async #fetch(): Promise<JSONWebKeySet> {
    const { discovery } = this.#options
    const configuration = await this.#json(discovery)
    const at = URL.parse(String(configuration.jwks_uri))
    if (at?.origin !== discovery.origin) throw new Error('The identity provider names keys of another origin.')
    return (await this.#json(at)) as unknown as JSONWebKeySet
  }

  async #json(url: URL): Promise<Record<string, unknown>> {
    const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS)
    const response = await this.#options.fetch(url.href, {
      signal,
      redirect: 'error',
      headers: { accept: 'application/json' },
    })
    if (!response.ok) throw new Error(`The identity provider answers ${response.status}.`)
    const text = await response.text()
    if (text.length > MAX_BYTES) throw new Error('The identity provider answers too much.')
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) throw new Error('The identity provider answers something else.')
    return value as Record<string, unknown>
  }
}
