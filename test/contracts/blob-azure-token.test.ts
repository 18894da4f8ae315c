import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:https'
import { test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { createLog } from '#log.ts'
import { AzureBlobStore } from '#platform/blob/azure.ts'
import { systemClock } from '#platform/clock.ts'
import type { TokenSource } from '#platform/credential.ts'
import { localhostCertificate, localhostKey } from '../support/localhost-certificate.ts'

/** What an account URL without a SAS is asked with; Azurite knows no such tokens but over certificates of its own. */

async function account() {
  const authorizations: (string | undefined)[] = []
  const server = createServer({ key: localhostKey, cert: localhostCertificate }, (request, response) => {
    authorizations.push(request.headers.authorization)
    request.resume()
    const isCreation = request.method === 'PUT'
    const code = isCreation ? 'ContainerAlreadyExists' : 'BlobNotFound'
    response.writeHead(isCreation ? 409 : 404, { 'x-ms-error-code': code }).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address)
  setDefaultCACertificates([...getCACertificates('default'), localhostCertificate])
  return {
    authorizations,
    open: (tokens: TokenSource) =>
      new AzureBlobStore({
        account: { accountUrl: `https://localhost:${address.port}`, tokens },
        ...{ container: 'rollout', clock: systemClock, log: createLog('silent'), operationTimeoutMs: 1000 },
      }),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

test('a token of the process identity, for Storage, goes with each call, and is asked for once', async () => {
  await using server = await account()
  const scopes: string[] = []
  const store = server.open({
    token: async (scope) => {
      scopes.push(scope)
      return { token: 'the-token', expiresAt: Date.now() + 3_600_000 }
    },
  })
  assert.equal(await store.get('a'), undefined)
  assert.equal(await store.get('b'), undefined)
  assert.deepEqual(server.authorizations, ['Bearer the-token', 'Bearer the-token', 'Bearer the-token'])
  assert.deepEqual(scopes, ['https://storage.azure.com/.default'])
  await store.close()
})

test('without a token, or while none comes, the account is out of reach', async () => {
  await using server = await account()
  const sources: TokenSource['token'][] = [
    async () => {
      throw new Error('no identity')
    },
    () => new Promise(() => {}),
  ]
  for (const token of sources) {
    const store = server.open({ token })
    await assert.rejects(store.get('a'), { code: 'blob_unavailable' })
    assert.equal(store.reachable, false)
    await store.close()
  }
  assert.deepEqual(server.authorizations, [])
})
