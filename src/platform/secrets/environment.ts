import type { Variables } from '#env/reader.ts'
import type { SecretStore } from './secrets.ts'

/** What the environment says. */
export function environmentSecrets(variables: Variables): SecretStore {
  return {
    engine: 'environment',
    read: async (variable, signal) => {
      signal.throwIfAborted()
      return variables[variable]?.trim() || undefined
    },
  }
}
