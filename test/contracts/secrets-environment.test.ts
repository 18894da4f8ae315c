import { environmentSecrets } from '#platform/secrets/environment.ts'
import { secretsContract } from './secrets.ts'

secretsContract('environment', async () => {
  const variables: Record<string, string | undefined> = {}
  return {
    store: environmentSecrets(variables),
    set: (variable, value) => {
      variables[variable] = value
    },
    [Symbol.asyncDispose]: async () => {},
  }
})
