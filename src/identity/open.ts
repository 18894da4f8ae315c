import type { IdentityEnv } from '#env.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { EntraClient } from '#platform/entra/entra.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Authenticator } from './authenticator.ts'
import { createTokenAuthenticator } from './entra/authenticator.ts'
import { createTokenVerifier } from './entra/token-verifier.ts'
import { createLocalAuthenticator } from './local.ts'
import type { Owner } from './principal.ts'
import { createUserTokens, type OwnersSeal } from './user-tokens/create.ts'
import type { UserTokens } from './user-tokens.ts'

export interface OpenIdentityOptions {
  env: IdentityEnv
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
  /** Undefined without Entra ID, or without a secret that it knows us by. */
  userTokens: UserTokens | undefined
}

/** Who may call, by what the environment says. */
export function openIdentity({ env, entra, ...rest }: OpenIdentityOptions): Identity {
  if (env.engine === 'local') return { authenticator: createLocalAuthenticator(), userTokens: undefined }
  const userTokens = entra && createUserTokens({ entra, ...rest })
  return { authenticator: createTokenAuthenticator(createTokenVerifier({ ...env, ...rest }), userTokens), userTokens }
}
