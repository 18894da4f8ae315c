import { hash } from 'node:crypto'
import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose'
import { LRUCache } from 'lru-cache'
import { ParleyError } from '#errors.ts'
import type { Facts } from '#events/events.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Identified } from '../authenticator.ts'
import { unserved } from '../unserved.ts'
import { principalOfClaims } from './claims.ts'
import { SigningKeys, type SigningKeysOptions } from './signing-keys.ts'

export interface TokenVerifierOptions {
  /** Such as `https://login.microsoftonline.com`. */
  authority: string
  /** Who issues v1 tokens, such as `https://sts.windows.net`. */
  v1Issuer: string
  /** The home tenant, which operates, and guests, which use. */
  tenant: string
  guests: readonly string[]
  /** Whom tokens have to be for: the application's id, and its `api://` address. */
  audiences: readonly string[]
  scope: string
  fetch: typeof fetch
  /** Hears that the keys of a tenant cannot be had, and that they can again. */
  onAway?: ((away: Facts['identity.away']) => void) | undefined
  clock: Clock
  log: Log
}

export interface TokenVerifier {
  /** Rejects with unauthenticated, forbidden, identity_unavailable. */
  verify(token: string): Promise<Verified>
}

/** Both ms since the epoch. */
export interface Verified extends Identified {
  until: number
  issuedAt: number
}

/** Between our clock and the issuer's. */
const SKEW_S = 60
/** A token that was verified is known for so long without being verified again, so that a key that is withdrawn counts soon. */
const KNOWN_MS = 5 * 60_000
const KNOWN_TOKENS = 10_000

/**
 * Verifies access tokens of Entra ID, v1 and v2: signature (RS256) by the keys of the token's own tenant, which has to be one that
 * we serve, issuer, audience and times, and what `principalOfClaims` asks for.
 */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { authority, v1Issuer, tenant, guests, audiences, scope, clock, log } = options
  const issuers = new Map([tenant, ...guests].map((tid) => [tid, issuerOf(tid, options)]))
  // Where its time is 0, the cache takes an entry for one without a lifetime.
  const perf = { now: () => clock.monotonic() + 1 }
  const known = new LRUCache<string, Verified>({ max: KNOWN_TOKENS, ttl: KNOWN_MS, perf })
  const base = authority.replace(/\/+$/, '')

  async function check(token: string): Promise<Verified> {
    const { tid, ver } = unverified(token)
    const keys = typeof tid === 'string' ? issuers.get(tid) : undefined
    if (!keys) throw unserved()
    const issuer = ver === '1.0' ? `${v1Issuer}/${tid}/` : `${base}/${tid}/v2.0`
    const { payload } = await jwtVerify(token, keys.get, {
      algorithms: ['RS256'],
      issuer,
      audience: [...audiences],
      clockTolerance: SKEW_S,
      currentDate: new Date(clock.now()),
      requiredClaims: ['exp', 'iat', 'tid', 'oid'],
    })
    const { exp = 0, iat = 0 } = payload
    return { principal: principalOfClaims(payload, { tenant, scope }), until: exp * 1000, issuedAt: iat * 1000 }
  }

  return {
    async verify(token) {
      const digest = hash('sha256', token, 'base64url')
      const found = known.get(digest)
      if (found && clock.now() < found.until + SKEW_S * 1000) return found
      try {
        const verified = await check(token)
        known.set(digest, verified)
        return verified
      } catch (error) {
        throw refusal(error, log)
      }
    },
  }
}

function issuerOf(tenant: string, { authority, fetch, onAway, clock, log }: TokenVerifierOptions): SigningKeys {
  const discovery = new URL(`${authority.replace(/\/+$/, '')}/${tenant}/v2.0/.well-known/openid-configuration`)
  const tell: SigningKeysOptions['onAway'] = (away) => onAway?.({ tenant, ...away, at: clock.now() })
  return new SigningKeys({ discovery, fetch, onAway: tell, clock, log })
}

/** What it says of itself before anything is believed: only to know whose keys to ask. */
function unverified(token: string): JWTPayload {
  try {
    return decodeJwt(token)
  } catch {
    throw new ParleyError('unauthenticated', { message: 'This is not a token.' })
  }
}

function refusal(error: unknown, log: Log): ParleyError {
  if (error instanceof ParleyError) return error
  if (error instanceof errors.JWTExpired) {
    return new ParleyError('unauthenticated', { message: 'The token has expired.', cause: error })
  }
  if (error instanceof errors.JOSEError) {
    log.info({ reason: error.code }, 'A token was refused')
    return new ParleyError('unauthenticated', { message: 'The token is not valid here.', cause: error })
  }
  return new ParleyError('unauthenticated', { cause: error })
}
