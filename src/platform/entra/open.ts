import type { IdentityEnv } from '#env.ts'
import type { Clock } from '../clock.ts'
import type { EntraClient } from './entra.ts'
import { createEntraClient } from './msal.ts'

export interface OpenEntraOptions {
  env: IdentityEnv
  /** Reaches the authority. */
  fetch: typeof fetch
  clock: Clock
  /** The authority does not take our secret. */
  onUnauthorized(): void
}

/** Undefined without Entra ID, or without a secret that it knows us by. */
export function openEntra({ env, fetch, clock, onUnauthorized }: OpenEntraOptions): EntraClient | undefined {
  if (env.engine === 'local' || env.clientSecret === undefined) return undefined
  const { authority, clientId, clientSecret: first, scope } = env
  const clientSecret = () => env.clientSecret ?? first
  return createEntraClient({ authority, clientId, clientSecret, scope, fetch, clock, onUnauthorized })
}
