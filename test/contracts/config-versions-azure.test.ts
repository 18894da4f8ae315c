import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createLog } from '#log.ts'
import { AzureBlobStore } from '#platform/blob/azure.ts'
import { systemClock } from '#platform/clock.ts'
import { createContainerName, startAzurite } from '../support/azurite.ts'
import { type Containers, grounds, saying } from './config-versions/grounds.ts'
import { configVersionsContract } from './config-versions.ts'

const azurite = await startAzurite()
after(() => azurite[Symbol.asyncDispose]())

configVersionsContract('Azure', containers)

test('a version that this replica has not come to is there once it was looked for, and what is gone is looked for once', async () => {
  await using at = await grounds(await containers())
  await at.versions.put('v1.json', saying('one'))
  await using replica = await at.replica()
  await at.versions.put('v2.json', saying('two'))
  assert.equal(replica.versions.get('v2'), undefined)
  const found = await Promise.all([replica.versions.find('v2'), replica.versions.find('v2')])
  assert.deepEqual(
    found.map((version) => version?.document.description),
    ['two', 'two'],
  )
  assert.equal(await replica.versions.find('v0'), undefined)
  at.cut.add('versions')
  assert.equal(await replica.versions.find('v0'), undefined)
  assert.deepEqual(
    replica.lines.filter(({ level }) => Number(level) > 30),
    [],
  )
})

async function containers(): Promise<Containers> {
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
}
