import type { IdentityEnv } from '#env.ts'
import type { Facts } from '#events/events.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { EntraClient } from '#platform/entra/entra.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Authenticator } from './authenticator.ts'
import { createEntraAuthenticator } from './entra/authenticator.ts'
import { createGroupLookup, withGroups } from './entra/groups.ts'
import { createTokenVerifier } from './entra/token-verifier.ts'
import type { Withdrawals } from './keys.ts'
import { createLocalAuthenticator } from './local.ts'
import type { OwnersSeal } from './owners-seal.ts'
import type { Owner } from './principal.ts'
import { createRevocations } from './revocations.ts'
import { createSignIn } from './sign-in/create.ts'
import type { SignIn } from './sign-in.ts'
import { type TakenAway, takeAway } from './take-away.ts'
import { createUserTokens } from './user-tokens/create.ts'
import type { UserTokens } from './user-tokens.ts'

export interface OpenIdentityOptions {
  env: IdentityEnv
  /** Other origins whose pages may call; where nobody signs in, in the name of whoever sits at this machine. */
  corsOrigins: readonly string[]
  /** Reaches the authority of Entra ID. */
  fetch: typeof fetch
  entra: EntraClient | undefined
  /** The groups of a tenant that it matters of whether somebody is in them. */
  groupsWanted(tenant: string): readonly string[]
  /** Where it is told whose tokens were revoked; asked for once somebody calls. */
  withdrawals(): Withdrawals
  /** Hears that the signing keys of a tenant cannot be had. */
  onAway?: ((away: Facts['identity.away']) => void) | undefined
  kv: Kv
  sealOf(owner: Owner): Promise<OwnersSeal>
  clock: Clock
  log: Log
}

export interface Identity {
  authenticator: Authenticator
  /** Both undefined without Entra ID, or without a secret that it knows us by. */
  userTokens: UserTokens | undefined
  signIn: SignIn | undefined
  /**
   * Takes a person's access away: tokens issued until now, sessions, what they lent us. What fails of it (state_unavailable,
   * overloaded) is told. Undefined without Entra ID.
   */
  revoke: ((by: Owner, person: Owner) => Promise<TakenAway>) | undefined
}

/** Who may call, by what the environment says. */
export function openIdentity({ env, corsOrigins, entra, groupsWanted, ...rest }: OpenIdentityOptions): Identity {
  if (env.engine === 'local') {
    const authenticator = createLocalAuthenticator(corsOrigins)
    return { authenticator, userTokens: undefined, signIn: undefined, revoke: undefined }
  }
  const verifier = createTokenVerifier({ ...env, ...rest })
  const { graph } = env
  const lookup = entra && graph && createGroupLookup({ entra, graph, wanted: groupsWanted, ...rest })
  const tokens = lookup ? withGroups(verifier, lookup) : verifier
  const userTokens = entra && createUserTokens({ entra, ...rest })
  const signIn = entra && userTokens && createSignIn({ ...env, entra, tokens, userTokens, ...rest })
  const revocations = createRevocations(rest.withdrawals, rest.clock)
  return {
    ...{ userTokens, signIn },
    authenticator: createEntraAuthenticator({ tokens, userTokens, signIn, revocations }),
    revoke: (by, person) => takeAway(revocations, signIn, by, person),
  }
}
