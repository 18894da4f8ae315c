import type { Clock } from '#platform/clock.ts'
import type { TokenSource } from '#platform/credential.ts'
import type { ModelsEnv } from '../../env.ts'
import type { ModelSpec } from '../schema.ts'
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
