import type { Identified } from './authenticator.ts'
import type { Owner } from './principal.ts'

/**
 * Sign-in of browsers, on the server: authorization code with PKCE, and a session that a cookie names. No token ever reaches the
 * page.
 */
export interface SignIn {
  /** Where the browser goes to sign in, and the secret that it has to bring back. Rejects with invalid_request, identity_unavailable. */
  begin(request: {
    tenant: string | undefined
    returnTo: string | undefined
  }): Promise<{ location: string; secret: string }>
  /** What the browser came back with. Rejects with unauthenticated (try again), identity_unavailable, forbidden. */
  finish(answer: { code: string; state: string; secret: string }): Promise<{ session: string; returnTo: string }>
  /** Who the session's cookie speaks for. Rejects with unauthenticated when the session is over. */
  identify(session: string): Promise<Identified>
  /** Ends it, on every replica within a second. */
  end(session: string): Promise<void>
  /**
   * Ends all of a person's, and forgets what they lent us for their tools, also what they still lend us for so long; resolves with
   * how many were on.
   */
  endAll(person: Owner, graceMs?: number): Promise<number>
  /** As browsers see us, such as `https://chat.example.com`. */
  readonly origin: string
}

export const signInLimits = {
  /** Between the way there and the way back. */
  pendingMs: 10 * 60_000,
  /** A session that nobody uses. */
  idleMs: 8 * 3_600_000,
  /** Any session. */
  absoluteMs: 24 * 3_600_000,
} as const

/** The names of our cookies; over https, of the kind that no other host of the site can set. */
export function cookieNames(origin: string): { session: string; pending: string } {
  const prefix = origin.startsWith('https:') ? '__Host-parley' : 'parley'
  return { session: `${prefix}-session`, pending: `${prefix}-sign-in` }
}

/** The value of a cookie of a request; undefined where there is none. */
export function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const pair of header?.split(';') ?? []) {
    const at = pair.indexOf('=')
    if (at !== -1 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return undefined
}

/** Where the browser may be sent after its sign-in: a path of ours, and nothing that a browser takes for another host. */
export function isOwnPath(path: string): boolean {
  return /^\/(?!\/)[!-[\]-~]{0,1023}$/.test(path)
}
