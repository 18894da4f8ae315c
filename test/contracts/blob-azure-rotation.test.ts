import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createLog } from '#log.ts'
import { openBlobStores } from '#platform/blob/open.ts'
import { systemClock } from '#platform/clock.ts'
import { readEnv } from '../../src/env.ts'
import { connectionStringOf, createContainerName, startAzurite } from '../support/azurite.ts'

const tokens = { token: () => Promise.reject(new Error('no token is needed here')) }
const common = { clock: systemClock, log: createLog('silent'), tokens }

test('the next call is signed with the new key', async () => {
  await using server = await startAzurite()
  const right = connectionStringOf(server.port)
  const variables = {
    AZURE_STORAGE_CONNECTION_STRING: right,
    PARLEY_CONFIG_CONTAINER: createContainerName(),
    PARLEY_ROLLOUT_CONTAINER: createContainerName(),
  }
  const { blob: env } = readEnv(variables)
  let refused = 0
  const stores = await openBlobStores({ env, ...common, onUnauthorized: () => refused++ })
  await stores.versions.put('a', Buffer.from('v'))
  assert.equal(refused, 0)
  variables.AZURE_STORAGE_CONNECTION_STRING = connectionStringOf(server.port, randomBytes(64).toString('base64'))
  await assert.rejects(stores.versions.get('a'), { code: 'blob_unavailable' })
  assert.equal(refused, 1)
  assert.equal(stores.versions.reachable, false)
  variables.AZURE_STORAGE_CONNECTION_STRING = right
  const found = await stores.versions.get('a')
  assert.ok(found && found !== 'unchanged')
  assert.equal(String(found.bytes), 'v')
  await Promise.all([stores.versions.close(), stores.rollout.close()])
})
