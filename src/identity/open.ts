import type { IdentityEnv } from '#env.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { EntraClient } from '#platform/entra/entra.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Authenticator } from './authenticator.ts'
import { createEntraAuthenticator } from './entra/authenticator.ts'
import { createTokenVerifier } from './entra/token-verifier.ts'
import { createLocalAuthenticator } from './local.ts'
import type { Owner } from './principal.ts'
import { createSignIn } from './sign-in/create.ts'
import type { SignIn } from './sign-in.ts'
import { createUserTokens, type OwnersSeal } from './user-tokens/create.ts'
import type { UserTokens } from './user-tokens.ts'

export interface OpenIdentityOptions {
  env: IdentityEnv
  /** Other origins whose pages may call; where nobody signs in, in the name of whoever sits at this machine. */
  corsOrigins: readonly string[]
  /** Reaches the authority of Entra ID. */
  fetch: typeof fetch
  entra: EntraClient | undefined
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
}

/** Who may call, by what the environment says. */
export function openIdentity({ env, corsOrigins, entra, ...rest }: OpenIdentityOptions): Identity {
  if (env.engine === 'local') {
    return { authenticator: createLocalAuthenticator(corsOrigins), userTokens: undefined, signIn: undefined }
  }
  const tokens = createTokenVerifier({ ...env, ...rest })
  const userTokens = entra && createUserTokens({ entra, ...rest })
  const signIn = entra && userTokens && createSignIn({ ...env, entra, tokens, userTokens, ...rest })
  return { authenticator: createEntraAuthenticator({ tokens, userTokens, signIn }), userTokens, signIn }
}
