import type { ModelsEnv } from '#env.ts'
import type { Clock } from '#platform/clock.ts'
import type { TokenSource } from '#platform/credential.ts'
import type { ModelSpec } from '../schema.ts'
import { offline } from './offline/offline.ts'
import { openaiCompatible } from './openai-compatible.ts'
import type { Provider } from './provider.ts'

export interface ProvidersOptions {
  env: ModelsEnv
  /** For Azure OpenAI without a key. */
  tokens: TokenSource
  clock: Clock
}

export interface Providers {
  providerFor(spec: ModelSpec): Provider
  close(): Promise<void>
}

/** Every kind of provider that a config version can name. */
export function createProviders({ env, tokens, clock }: ProvidersOptions): Providers {
  const local = offline(clock)
  const remote = openaiCompatible(env, tokens, clock)
  return {
    providerFor: ({ provider }) => (provider === 'offline' ? local : remote),
    close: async () => {
      await Promise.all([local.close(), remote.close()])
    },
  }
}
