import { createHash, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { type EntraClient, type SignedIn, SignInNeeded } from '#platform/entra/entra.ts'
import { type Key, type Kv, key } from '#platform/kv/kv.ts'
import type { OwnersSeal } from '../owners-seal.ts'
import type { Owner } from '../principal.ts'
import { isOwnPath, type SignIn, signInLimits } from '../sign-in.ts'
import type { UserTokens } from '../user-tokens.ts'
import { newSessionName } from './session-name.ts'
import { Sessions, type SessionsOptions } from './sessions.ts'

export interface SignInOptions {
  entra: EntraClient
  tokens: SessionsOptions['tokens']
  userTokens: Pick<UserTokens, 'seen' | 'forget'>
  /** The home tenant, and guests who may sign in too. */
  tenant: string
  guests: readonly string[]
  publicUrl: string
  kv: Kv
  sealOf(owner: Owner): Promise<OwnersSeal>
  clock: Clock
  log: Log
}

interface Pending {
  tenant: string
  nonce: string
  verifier: string
  returnTo: string
  /** Of what the browser has to bring back beside the state: a sign-in that somebody else began is of no use to it. */
  secretHash: string
}

export function createSignIn(options: SignInOptions): SignIn {
  const { entra, tokens, kv, clock, tenant: home, guests, publicUrl } = options
  const { origin } = new URL(publicUrl)
  const redirectUri = `${origin}/auth/callback`
  const sessions = new Sessions(options)

  return {
    origin,

    async begin({ tenant = home, returnTo = '/' }) {
      if (tenant !== home && !guests.includes(tenant)) {
        throw new ParleyError('invalid_request', { message: 'This tenant does not sign in here.', param: 'tenant' })
      }
      if (!isOwnPath(returnTo)) {
        throw new ParleyError('invalid_request', { message: 'The way back is a path of this site.', param: 'return' })
      }
      const [state, nonce, verifier, secret] = [random(), random(), random(), random()]
      const challenge = createHash('sha256').update(verifier).digest('base64url')
      const location = await entra.signInUrl({ tenant, redirectUri, state, nonce, challenge })
      const pending: Pending = { tenant, nonce, verifier, returnTo, secretHash: hash('sha256', secret, 'base64url') }
      await kv.put(pendingKey(state), Buffer.from(JSON.stringify(pending)), { ttlMs: signInLimits.pendingMs })
      return { location, secret }
    },

    async finish({ code, state, secret }) {
      const pending = await takePending(kv, state)
      if (!pending || !isSame(hash('sha256', secret, 'base64url'), pending.secretHash)) throw startOver()
      const { tenant, nonce, verifier, returnTo } = pending
      const since = clock.now()
      const signedIn = await redeem(() => entra.redeem({ tenant, redirectUri, code, nonce, verifier }))
      const { principal } = await tokens.verify(signedIn.token)
      if (principal.tenant !== tenant || principal.kind !== 'user') throw startOver()
      const name = newSessionName(principal)
      await sessions.open(name, signedIn, since)
      // What waits for this person need not wait for the first request as well.
      options.userTokens.seen(principal, signedIn.token, signedIn.expiresAt)
      return { session: name.cookie, returnTo }
    },

    identify: (session) => sessions.identify(session),
    end: (session) => sessions.end(session),
    async endAll({ tenant, id }, graceMs) {
      const owner = { tenant, id }
      const ended = await sessions.endAll(owner)
      // Last: whoever comes by a session lends us a token.
      await options.userTokens.forget(owner, graceMs)
      return ended
    },
  }
}

async function redeem(work: () => Promise<SignedIn>): Promise<SignedIn> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof SignInNeeded ? startOver(error) : error
  }
}

/** Once: whoever comes second with the same state finds nothing. */
async function takePending(kv: Kv, state: string): Promise<Pending | undefined> {
  if (!/^[\w-]{43}$/.test(state)) return undefined
  const at = pendingKey(state)
  const found = await kv.get(at)
  if (!found || !(await kv.delete(at, { ifVersion: found.version }))) return undefined
  return JSON.parse(found.value.toString())
}

function pendingKey(state: string): Key {
  return key(`sign-in-${state}`, 'pending')
}

function random(): string {
  return randomBytes(32).toString('base64url')
}

function isSame(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

function startOver(cause?: unknown): ParleyError {
  return new ParleyError('unauthenticated', { message: 'The sign-in did not complete; start it again.', cause })
}
