/**
 * What an app registration of Entra ID can ask for beyond checking tokens: people sign in, and tools are called for them. The
 * client's own caches are handed in and out as text (`cache`): whoever keeps them seals them.
 *
 * Every method rejects with `ParleyError` `identity_unavailable` while the authority is out of reach, and with `SignInNeeded` where
 * only the person can help.
 */
export interface EntraClient {
  /** Where the browser is sent to sign in (authorization code, PKCE). */
  signInUrl(request: SignInRequest): Promise<string>
  /** What the code of that sign-in stands for. */
  redeem(request: RedeemRequest): Promise<SignedIn>
  /** A new access token for our own API, without asking anybody. */
  renew(request: { tenant: string; account: string; cache: string }): Promise<SignedIn>
  /** A token for `scope`, on behalf of the user whose access token for our API is `assertion`. */
  onBehalfOf(request: { tenant: string; assertion: string; scope: string }): Promise<EntraToken>
}

export interface SignInRequest {
  tenant: string
  redirectUri: string
  state: string
  nonce: string
  /** PKCE, S256. */
  challenge: string
}

export interface RedeemRequest {
  tenant: string
  redirectUri: string
  code: string
  nonce: string
  verifier: string
}

export interface EntraToken {
  token: string
  /** ms since the epoch. */
  expiresAt: number
}

export interface SignedIn extends EntraToken {
  /** Names the account within `cache`. */
  account: string
  cache: string
}

/** Nothing but a new sign-in helps: consent is missing, the session is over, the user was disabled. */
export class SignInNeeded extends Error {
  override readonly name = 'SignInNeeded'
}
