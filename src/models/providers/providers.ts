import type { ModelSpec } from '../schema.ts'
import { offline } from './offline/offline.ts'
import { openaiCompatible, type RemoteOptions } from './openai-compatible.ts'
import type { Provider } from './provider.ts'

export interface Providers {
  providerFor(spec: ModelSpec): Provider
  close(): Promise<void>
}

/** Every kind of provider that a config version can name. */
export function createProviders(options: RemoteOptions): Providers {
  const local = offline(options.clock)
  const remote = openaiCompatible(options)
  return {
    providerFor: ({ provider }) => (provider === 'offline' ? local : remote),
    close: async () => {
      await Promise.all([local.close(), remote.close()])
    },
  }
}
