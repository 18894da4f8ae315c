import type { IdentityEnv } from '#env.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Authenticator } from './authenticator.ts'
import { createTokenAuthenticator } from './entra/authenticator.ts'
import { createTokenVerifier } from './entra/token-verifier.ts'
import { createLocalAuthenticator } from './local.ts'

export interface OpenIdentityOptions {
  env: IdentityEnv
  /** Reaches the authority of Entra ID. */
  fetch: typeof fetch
  clock: Clock
  log: Log
}

/** Who may call, by what the environment says. */
export function openAuthenticator({ env, ...rest }: OpenIdentityOptions): Authenticator {
  return env.engine === 'local'
    ? createLocalAuthenticator()
    : createTokenAuthenticator(createTokenVerifier({ ...env, ...rest }))
}
