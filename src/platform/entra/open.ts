import type { IdentityEnv } from '#env.ts'
import type { Clock } from '../clock.ts'
import type { EntraClient } from './entra.ts'
import { createEntraClient } from './msal.ts'

export interface OpenEntraOptions {
  env: IdentityEnv
  /** Reaches the authority. */
  fetch: typeof fetch
  clock: Clock
}

/** Undefined without Entra ID, or without a secret that it knows us by. */
export function openEntra({ env, fetch, clock }: OpenEntraOptions): EntraClient | undefined {
  if (env.engine === 'local' || env.clientSecret === undefined) return undefined
  const { authority, clientId, clientSecret, scope } = env
  return createEntraClient({ authority, clientId, clientSecret, scope, fetch, clock })
}
