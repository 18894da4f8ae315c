import type { Owner } from './principal.ts'
import type { Revocations } from './revocations.ts'
import type { SignIn } from './sign-in.ts'

/** What came of taking somebody's access away. */
export interface TakenAway {
  /** How many sessions were on; null where ending them failed on its way. */
  ended: number | null
  /** Whether access tokens of before are refused. */
  tokens: 'revoked' | null
  /** Where a part failed, why; it is safe to repeat. */
  fault?: unknown
}

/** How long replicas may not know of a revocation, and take what is lent to them. */
const UNHEARD_MS = 1000

/** Takes a person's access away: tokens issued until now, sessions, what they lent us; each of it whatever became of the rest. */
export async function takeAway(
  revocations: Pick<Revocations, 'revoke'>,
  signIn: Pick<SignIn, 'endAll'> | undefined,
  by: Owner,
  person: Owner,
): Promise<TakenAway> {
  // In this order: a token that is still taken lends itself to us again.
  const [revoked] = await Promise.allSettled([revocations.revoke(by, person)])
  const [ended] = await Promise.allSettled([signIn?.endAll(person, UNHEARD_MS) ?? 0])
  const failed = [revoked, ended].find((part) => part.status === 'rejected')
  return {
    ended: ended.status === 'fulfilled' ? ended.value : null,
    tokens: revoked.status === 'fulfilled' ? 'revoked' : null,
    ...(failed && { fault: failed.reason }),
  }
}
