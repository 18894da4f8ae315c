import { ParleyError } from '#errors.ts'
import type { Authenticator } from '../authenticator.ts'
import type { UserTokens } from '../user-tokens.ts'
import { bearerOf } from './bearer.ts'
import type { TokenVerifier } from './token-verifier.ts'

/** Whoever brings an access token. What a user brings may be lent to the tools that are called for that user. */
export function createTokenAuthenticator(
  tokens: TokenVerifier,
  userTokens: Pick<UserTokens, 'seen'> | undefined,
): Authenticator {
  return {
    async authenticate(facts) {
      const bearer = bearerOf(facts)
      if (bearer === undefined) throw new ParleyError('unauthenticated')
      const identified = await tokens.verify(bearer)
      const { principal, until } = identified
      if (principal.kind === 'user' && until !== undefined) userTokens?.seen(principal, bearer, until)
      return identified
    },
  }
}
