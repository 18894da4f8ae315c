import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'
import type { TokenSource } from '../credential.ts'

export interface LoginOptions {
  credential: TokenSource
  clock: Clock
  log: Log
  /** The user is the object id of the token's principal, the password is the token. */
  onCredentials: (username: string, password: string) => Promise<void>
}

const scope = 'https://redis.azure.com/.default'
const retryMs = 2000
/** The cloud hands out a new token only in the last minutes of the old one. */
const leadMs = 180_000

/** Keeps the connections signed in: a new token before the old one expires, each replica at a time of its own. */
export class RedisLogin {
  readonly #options: LoginOptions
  #cancel: (() => void) | undefined
  #closed = false

  constructor(options: LoginOptions) {
    this.#options = options
  }

  /** Resolves with the first token, however long that takes. */
  start(): Promise<void> {
    return new Promise((resolve) => void this.#renew(resolve))
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
  }

  async #renew(onSuccess: () => void): Promise<void> {
    const { credential, clock, log, onCredentials } = this.#options
    let nextMs = retryMs * (0.5 + Math.random())
    try {
      const { token, expiresAt } = await credential.token(scope)
      if (this.#closed) return
      await onCredentials(objectIdOf(token), token)
      nextMs = renewalMs(expiresAt - clock.now(), Math.random())
      onSuccess()
    } catch (error) {
      log.warn({ err: error }, 'Signing in to Redis failed')
    }
    if (!this.#closed) this.#cancel = clock.after(nextMs, () => void this.#renew(onSuccess))
  }
}

/** When to ask for the next token, of one that has `leftMs` to live: minutes before its end, but never in a hurry. */
export function renewalMs(leftMs: number, random: number): number {
  const lead = Math.min(leadMs * (1 + random / 2), leftMs * (0.25 + random / 4))
  return Math.max(1000, leftMs - lead)
}

export function objectIdOf(token: string): string {
  const [, payload = ''] = token.split('.')
  const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
  if (typeof claims === 'object' && claims !== null && 'oid' in claims && typeof claims.oid === 'string') {
    return claims.oid
  }
  throw new ParleyError('environment_invalid', { message: 'The token for Redis names no object id.' })
}
