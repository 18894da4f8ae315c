import { after } from 'node:test'
import { createLog } from '#log.ts'
import { AzureBlobStore } from '#platform/blob/azure.ts'
import { systemClock } from '#platform/clock.ts'
import { createContainerName, startAzurite } from '../support/azurite.ts'
import { configVersionsContract } from './config-versions.ts'

const azurite = await startAzurite()
after(() => azurite[Symbol.asyncDispose]())

configVersionsContract('Azure', async () => {
  const account = {
    connectionString: azurite.connectionString,
    tokens: { token: async () => ({ token: '', expiresAt: 0 }) },
  }
  const names = { versions: createContainerName(), rollout: createContainerName() }
  const log = createLog('silent')
  return {
    open: (name) => new AzureBlobStore({ account, container: names[name], clock: systemClock, log }),
    [Symbol.asyncDispose]: async () => {},
  }
})
