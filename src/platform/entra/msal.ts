import type { AuthenticationResult, ConfidentialClientApplication } from '@azure/msal-node'
import { ParleyError } from '#errors.ts'
import type { Clock } from '../clock.ts'
import { type EntraClient, type EntraToken, type SignedIn, SignInNeeded } from './entra.ts'
import { networkOver } from './network.ts'

export interface EntraClientOptions {
  authority: string
  clientId: string
  /** The one of now. */
  clientSecret: () => string
  /** The delegated permission of our own API, such as `access_as_user`. */
  scope: string
  fetch: typeof fetch
  clock: Clock
  /** The authority does not take our secret. */
  onUnauthorized?: () => void
}

/** Entra's own authority speaks a dialect, which MSAL knows; every other one plain OpenID Connect. */
const ENTRA_HOSTS = /(^|\.)(microsoftonline\.(com|us|cn)|windows\.net|partner\.microsoftonline\.cn)$/
/** What the authority answers where the person has to come back. */
const NEEDS_PERSON: ReadonlySet<string> = new Set([
  'interaction_required',
  'login_required',
  'consent_required',
  'invalid_grant',
  'no_account_found',
  'nonce_mismatch',
  'no_tokens_found',
  'refresh_token_expired',
])

/** By MSAL. Loaded when first needed: a process that only checks tokens does not pay for it. */
export function createEntraClient(options: EntraClientOptions): EntraClient {
  const { authority, clientId, scope, clock } = options
  const { host, hostname } = new URL(authority)
  const isEntra = ENTRA_HOSTS.test(hostname)
  const networkClient = networkOver(options.fetch)
  const own = `api://${clientId}/${scope}`

  /** A client of its own for each call: what it caches belongs to one person. */
  async function open(tenant: string): Promise<ConfidentialClientApplication> {
    const { ConfidentialClientApplication, ProtocolMode } = await import('@azure/msal-node')
    return new ConfidentialClientApplication({
      auth: {
        clientId,
        clientSecret: options.clientSecret(),
        authority: isEntra ? `${authority}/${tenant}` : `${authority}/${tenant}/v2.0`,
        knownAuthorities: [host],
      },
      system: { networkClient, ...(!isEntra && { protocolMode: ProtocolMode.OIDC }) },
    })
  }

  function tokenOf(result: AuthenticationResult | null): EntraToken & { result: AuthenticationResult } {
    if (!result?.accessToken) throw new SignInNeeded('The authority gave no token.')
    return { token: result.accessToken, expiresAt: result.expiresOn?.getTime() ?? clock.now(), result }
  }

  function signedIn(client: ConfidentialClientApplication, given: AuthenticationResult | null): SignedIn {
    const { token, expiresAt, result } = tokenOf(given)
    if (!result.account) throw new SignInNeeded('The authority named no account.')
    return { token, expiresAt, account: result.account.homeAccountId, cache: client.getTokenCache().serialize() }
  }

  async function reaching<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof SignInNeeded || error instanceof ParleyError) throw error
      const code = error instanceof Error && 'errorCode' in error ? String(error.errorCode) : undefined
      if (code === 'invalid_client') options.onUnauthorized?.()
      if (code !== undefined && NEEDS_PERSON.has(code)) throw new SignInNeeded(code, { cause: error })
      throw new ParleyError('identity_unavailable', { cause: error })
    }
  }

  return {
    signInUrl: ({ tenant, redirectUri, state, nonce, challenge }) =>
      reaching(async () =>
        (await open(tenant)).getAuthCodeUrl({
          scopes: [own, 'offline_access'],
          redirectUri,
          state,
          nonce,
          codeChallenge: challenge,
          codeChallengeMethod: 'S256',
          // Without it, plain OpenID Connect gives no refresh token.
          ...(!isEntra && { prompt: 'consent' }),
        }),
      ),

    redeem: ({ tenant, redirectUri, code, nonce, verifier }) =>
      reaching(async () => {
        const client = await open(tenant)
        const request = { scopes: [own, 'offline_access'], redirectUri, code, nonce, codeVerifier: verifier }
        const result = await client.acquireTokenByCode(request)
        return signedIn(client, result)
      }),

    renew: ({ tenant, account, cache }) =>
      reaching(async () => {
        const client = await open(tenant)
        const tokens = client.getTokenCache()
        tokens.deserialize(cache)
        const found = await tokens.getAccountByHomeId(account)
        if (!found) throw new SignInNeeded('The account is not in the cache.')
        return signedIn(client, await client.acquireTokenSilent({ account: found, scopes: [own], forceRefresh: true }))
      }),

    onBehalfOf: ({ tenant, assertion, scope: wanted }) =>
      reaching(async () => {
        const client = await open(tenant)
        const { token, expiresAt } = tokenOf(
          await client.acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes: [wanted] }),
        )
        return { token, expiresAt }
      }),
  }
}
