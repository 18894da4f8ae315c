import { ParleyError } from '#errors.ts'
import type { Authenticator } from '../authenticator.ts'
import { bearerOf } from './bearer.ts'
import type { TokenVerifier } from './token-verifier.ts'

/** Whoever brings an access token. */
export function createTokenAuthenticator(tokens: TokenVerifier): Authenticator {
  return {
    authenticate(facts) {
      const bearer = bearerOf(facts)
      if (bearer === undefined) throw new ParleyError('unauthenticated')
      return tokens.verify(bearer)
    },
  }
}
