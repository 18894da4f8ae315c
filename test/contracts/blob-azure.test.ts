import { after } from 'node:test'
import { createLog } from '#log.ts'
import { AzureBlobStore } from '#platform/blob/azure.ts'
import { createContainerName, startAzurite } from '../support/azurite.ts'
import { turnedClock } from './blob/under-test.ts'
import { blobContract } from './blob.ts'

const azurite = await startAzurite()
after(() => azurite[Symbol.asyncDispose]())

blobContract('Azure', async () => {
  const clock = turnedClock()
  const account = {
    connectionString: azurite.connectionString,
    tokens: { token: async () => ({ token: '', expiresAt: 0 }) },
  }
  const options = { account, container: createContainerName(), clock, log: createLog('silent'), pageSize: 3 }
  const [store, other] = [new AzureBlobStore(options), new AzureBlobStore(options)]
  return {
    store,
    other,
    passTime: async (ms) => {
      clock.advance(ms)
      await azurite.advance(ms)
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([store.close(), other.close()])
    },
  }
})
