import type { SecretsEnv } from '#env.ts'
import type { Clock } from '../clock.ts'
import type { TokenSource } from '../credential.ts'
import { environmentSecrets } from './environment.ts'
import { openKeyVault } from './key-vault.ts'
import { LiveSecrets, type LiveSecretsOptions } from './live-secrets.ts'
import type { Secrets } from './secrets.ts'

export interface OpenSecretsOptions extends Pick<LiveSecretsOptions, 'variables' | 'unfit'> {
  env: SecretsEnv
  /** Variables that the environment leaves out, as far as they can be used. */
  wanted: readonly string[]
  clock: Clock
  tokens: TokenSource
  /** Ends the wait for a vault that is out of reach. */
  signal: AbortSignal
}

/** Rejects with `environment_invalid` or `secrets_unavailable`, saying what is wrong with which secret. */
export async function openSecrets({ env, wanted, tokens, signal, ...options }: OpenSecretsOptions): Promise<Secrets> {
  const { variables, clock } = options
  const isVault = env.engine === 'key-vault'
  const store = isVault ? await openKeyVault({ url: env.url, tokens, clock }) : environmentSecrets(variables)
  const secrets = new LiveSecrets({ ...options, store, refreshMs: isVault ? env.refreshMs : Number.POSITIVE_INFINITY })
  await secrets.open(wanted, signal)
  return secrets
}
