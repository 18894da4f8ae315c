import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import {
  BlobServiceClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob'
import { AzureBlobStore } from '#platform/blob/azure.ts'
import type { AzureAccount } from '#platform/blob/azure-client.ts'
import { serviceOf } from '#platform/blob/azure-client.ts'
import type { BlobStore } from '#platform/blob/blob.ts'
import { openBlobStores } from '#platform/blob/open.ts'
import { systemClock } from '#platform/clock.ts'
import {
  azuriteAccount,
  azuriteKey,
  connectionStringOf,
  createContainerName,
  startAzurite,
} from '../support/azurite.ts'
import { capturedLog } from '../support/captured-log.ts'
import { freePort } from '../support/free-port.ts'
import { startStopwatch } from '../support/stopwatch.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'
import { found, listed } from './blob/under-test.ts'

/** What only an account far away can do to us. */

const azurite = await startAzurite()
after(() => azurite[Symbol.asyncDispose]())
const tokens = { token: async () => ({ token: 'secret-token', expiresAt: Date.now() + 3_600_000 }) }
const unavailable = { code: 'blob_unavailable' }

function open(account: Partial<AzureAccount>, container = createContainerName(), operationTimeoutMs = 1000) {
  const { log, lines } = capturedLog()
  const store = new AzureBlobStore({
    account: { tokens, ...account },
    container,
    clock: systemClock,
    log,
    operationTimeoutMs,
  })
  return { store, lines, container, [Symbol.asyncDispose]: () => store.close() }
}

async function refuses(store: BlobStore): Promise<void> {
  const calls = [
    () => store.get('a'),
    () => store.put('a', Buffer.from('x')),
    () => store.put('a', Buffer.from('x'), { absent: true }),
    () => store.delete('a'),
    () => listed(store, ''),
    () => store.lease('leader', 15_000),
  ]
  await Promise.all(calls.map((call) => assert.rejects(call(), unavailable)))
  assert.equal(store.reachable, false)
}

test('an account that is away is refused within seconds, and is back by itself', async () => {
  await using proxy = await startTcpProxy({ host: '127.0.0.1', port: azurite.port })
  await using under = open({ connectionString: connectionStringOf(proxy.port) })
  const { store, lines } = under
  await store.put('a', Buffer.from('one'))
  const silence = () => {
    proxy.muteServer()
    return assert.rejects(store.get('a'), unavailable)
  }
  const absence = () => {
    proxy.break()
    return refuses(store)
  }
  for (const goAway of [silence, absence]) {
    using sinceBegun = startStopwatch()
    await goAway()
    assert.ok(sinceBegun.ms < 4000)
    assert.equal(store.reachable, false)
    proxy.cut()
    proxy.mend()
    assert.equal((await found(store, 'a')).size, 3)
    assert.equal(store.reachable, true)
  }
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    [1, 2].flatMap(() => ['Blob Storage is out of reach', 'Blob Storage is within reach']),
  )
})

test('one that is away at the start makes its container once it is there', async () => {
  await using proxy = await startTcpProxy({ host: '127.0.0.1', port: azurite.port })
  proxy.break()
  await using under = open({ connectionString: connectionStringOf(proxy.port) })
  await under.store.connect()
  assert.equal(under.store.reachable, false)
  proxy.mend()
  assert.ok(await under.store.put('a', Buffer.from('x'), { absent: true }))
  assert.equal(under.store.reachable, true)
})

test('a write whose answer is lost is rejected, and not made again', async () => {
  await using proxy = await startTcpProxy({ host: '127.0.0.1', port: azurite.port })
  await using under = open({ connectionString: connectionStringOf(proxy.port) })
  await under.store.connect()
  proxy.muteServer()
  await assert.rejects(under.store.put('a', Buffer.from('one'), { absent: true }), unavailable)
  proxy.cut()
  await using other = open({ connectionString: azurite.connectionString }, under.container)
  assert.equal((await found(other.store, 'a')).bytes.toString(), 'one')
  assert.equal(await under.store.put('a', Buffer.from('two'), { absent: true }), undefined)
})

test('nobody listens: refused at once', async () => {
  await using under = open({ connectionString: connectionStringOf(await freePort()) })
  await refuses(under.store)
})

test('a wrong key and a SAS that has run out are named, and their secret is not', async () => {
  const wrong = Buffer.from('a wrong key, nevertheless of use').toString('base64')
  const expired = sasUrl(createContainerName(), { expiresInMs: -60_000 })
  for (const [account, secret, container] of [
    [{ connectionString: connectionStringOf(azurite.port, wrong) }, wrong, undefined],
    [{ accountUrl: expired.url }, expired.signature, expired.container],
  ] as const) {
    await using under = open(account, container)
    const error = await under.store.get('a').catch((error) => error)
    assert.equal(error.code, 'blob_unavailable')
    assert.match(error.message, /refuses the credential/)
    const shown = [error.stack, JSON.stringify(error), String(error.cause?.stack), JSON.stringify(under.lines)].join()
    assert.equal(under.lines.length, 1)
    for (const form of [secret, encodeURIComponent(secret)]) assert.ok(!shown.includes(form))
    assert.ok(!shown.includes('sig='))
  }
})

test('with a SAS that may not make containers, one that exists is used, and one that does not is out of reach', async () => {
  const { url, container } = sasUrl(createContainerName(), { expiresInMs: 3_600_000 })
  await using before = open({ accountUrl: url }, container)
  await assert.rejects(before.store.put('a', Buffer.from('x')), unavailable)
  await BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(container).create()
  await using under = open({ accountUrl: url }, container)
  assert.ok(await under.store.put('a', Buffer.from('x'), { absent: true }))
  assert.equal((await found(under.store, 'a')).size, 1)
  assert.equal((await listed(under.store, '')).length, 1)
  assert.equal(await (await under.store.lease('leader', 15_000))?.renew(), true)
})

test('a container that somebody deletes is out of reach, not empty', async () => {
  await using under = open({ connectionString: azurite.connectionString })
  await under.store.put('a', Buffer.from('x'))
  await BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(under.container).delete()
  await refuses(under.store)
})

test('a lease that an operator breaks is lost', async () => {
  await using under = open({ connectionString: azurite.connectionString })
  const lease = await under.store.lease('leader', 60_000)
  assert.equal(await lease?.renew(), true)
  const blob = BlobServiceClient.fromConnectionString(azurite.connectionString).getContainerClient(under.container)
  await blob.getBlobClient('leader').getBlobLeaseClient().breakLease(0)
  assert.equal(await lease?.renew(), false)
  assert.equal(await lease?.renew(), false)
  assert.ok(await under.store.lease('leader', 15_000))
})

test('a throttled read is tried again, one that stays throttled is out of reach', async () => {
  let asked = 0
  let busy = 2
  const server = createServer((request, response) => {
    request.resume()
    if (request.method === 'PUT') return response.writeHead(409, { 'x-ms-error-code': 'ContainerAlreadyExists' }).end()
    asked += 1
    if (asked <= busy) return response.writeHead(503, { 'x-ms-error-code': 'ServerBusy' }).end()
    return response
      .writeHead(206, {
        'content-range': 'bytes 0-0/1',
        'content-length': '1',
        etag: '"0x1"',
        'last-modified': new Date().toUTCString(),
      })
      .end('x')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address)
  try {
    await using under = open({ connectionString: connectionStringOf(address.port) }, undefined, 20_000)
    assert.equal((await found(under.store, 'a')).etag, '0x1')
    assert.equal(asked, 3)
    busy = Number.POSITIVE_INFINITY
    await assert.rejects(under.store.get('a'), { code: 'blob_unavailable', message: /ServerBusy/ })
    assert.equal(asked, 6)
  } finally {
    server.close()
    server.closeAllConnections()
  }
})

test('an account that cannot be is refused when it is opened, and not repeated', async () => {
  for (const [account, message] of [
    [{ connectionString: 'AccountKey=secret' }, /AZURE_STORAGE_CONNECTION_STRING/],
    [{ accountUrl: 'http://account.blob.core.windows.net' }, /AZURE_STORAGE_ACCOUNT_URL has to begin with https/],
    [
      { accountUrl: 'http://account.blob.core.windows.net?sv=1&sig=secret' },
      /AZURE_STORAGE_ACCOUNT_URL .* in the clear/,
    ],
    [{ accountUrl: 'http://127.0.0.1.example?sv=1&sig=secret' }, /AZURE_STORAGE_ACCOUNT_URL .* in the clear/],
    [{ accountUrl: 'http://10.0.0.4:10000/account?sv=1&sig=secret' }, /AZURE_STORAGE_ACCOUNT_URL .* in the clear/],
    [
      { connectionString: 'BlobEndpoint=http://account.example/;SharedAccessSignature=sv=1&sig=secret' },
      /AZURE_STORAGE_CONNECTION_STRING .* in the clear/,
    ],
  ] as const) {
    const env = { engine: 'azure', versions: 'v', rollout: 'r', ...account } as const
    const opening = openBlobStores({ env, clock: systemClock, log: capturedLog().log, tokens })
    await assert.rejects(opening, (error: Error) => {
      assert.match(error.message, message)
      assert.ok(!error.message.includes('secret'))
      return true
    })
  }
})

test('a SAS goes without TLS to this machine alone', () => {
  for (const host of ['127.0.0.1:10000', 'localhost:10000', '[::1]:10000', '127.1.2.3']) {
    const accountUrl = `http://${host}/account?sv=1&sig=x`
    assert.equal(new URL(serviceOf({ accountUrl, tokens }, 1).url).host, new URL(accountUrl).host)
  }
  const connectionString = 'BlobEndpoint=http://127.0.0.1:10000/account;SharedAccessSignature=sv=1&sig=x'
  assert.match(serviceOf({ connectionString, tokens }, 1).url, /^http:/)
})

test('two containers are opened, and made', async () => {
  const env = {
    engine: 'azure',
    connectionString: azurite.connectionString,
    versions: createContainerName(),
    rollout: createContainerName(),
  } as const
  const { versions, rollout } = await openBlobStores({ env, clock: systemClock, log: capturedLog().log, tokens })
  assert.ok(await versions.put('v1.yaml', Buffer.from('x')))
  assert.equal(await rollout.get('v1.yaml'), undefined)
  await Promise.all([versions.close(), rollout.close()])
})

function sasUrl(container: string, { expiresInMs }: { expiresInMs: number }) {
  const key = new StorageSharedKeyCredential(azuriteAccount, azuriteKey)
  const permissions = ContainerSASPermissions.parse('rwdcl')
  const startsOn = new Date(Date.now() - 3_600_000)
  const expiresOn = new Date(Date.now() + expiresInMs)
  const sas = generateBlobSASQueryParameters({ containerName: container, permissions, startsOn, expiresOn }, key)
  return { container, signature: sas.signature, url: `http://127.0.0.1:${azurite.port}/${azuriteAccount}?${sas}` }
}
