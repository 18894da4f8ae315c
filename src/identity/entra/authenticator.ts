import { ParleyError } from '#errors.ts'
import type { Authenticator, Identified, RequestFacts } from '../authenticator.ts'
import type { Revocations } from '../revocations.ts'
import { cookieNames, cookieOf, type SignIn } from '../sign-in.ts'
import type { UserTokens } from '../user-tokens.ts'
import { bearerOf } from './bearer.ts'
import type { TokenVerifier } from './token-verifier.ts'

export interface EntraAuthenticatorOptions {
  tokens: TokenVerifier
  /** What a user brings may be lent to the tools that are called for that user. */
  userTokens: Pick<UserTokens, 'seen'> | undefined
  signIn: Pick<SignIn, 'identify' | 'origin'> | undefined
  revocations: Pick<Revocations, 'standing'>
}

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD'])

/** Whoever brings an access token, or the cookie of a session. */
export function createEntraAuthenticator(options: EntraAuthenticatorOptions): Authenticator {
  const { tokens, userTokens, signIn, revocations } = options

  async function byToken(bearer: string): Promise<Identified> {
    const { issuedAt, ...verified } = await tokens.verify(bearer)
    const identified = revocations.standing(verified, issuedAt)
    const { principal } = identified
    if (principal.kind === 'user') userTokens?.seen(principal, bearer, verified.until)
    return identified
  }

  return {
    async authenticate(facts) {
      const bearer = bearerOf(facts)
      if (bearer !== undefined) return byToken(bearer)
      const session = signIn && cookieOf(facts.headers.cookie, cookieNames(signIn.origin).session)
      if (!signIn || session === undefined) throw new ParleyError('unauthenticated')
      refuseOtherSites(facts, signIn.origin)
      return signIn.identify(session)
    },
  }
}

/**
 * A browser sends our cookie whoever's page it shows: so what changes anything, and every WebSocket, has to say that it comes
 * from a page of ours.
 */
function refuseOtherSites({ method, headers }: RequestFacts, own: string): void {
  const site = headers['sec-fetch-site']
  const isOwn = headers.origin === own || (headers.origin === undefined && site === 'same-origin')
  const isSafe = SAFE_METHODS.has(method) && headers.upgrade === undefined
  const isForeign =
    (headers.origin !== undefined && headers.origin !== own) || site === 'cross-site' || site === 'same-site'
  if (isForeign || !(isSafe || isOwn)) throw new ParleyError('cross_site')
}
