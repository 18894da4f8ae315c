import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { type KeyVault, startKeyVault } from '../support/key-vault.ts'
import { keyVaultCertificate } from '../support/key-vault-certificate.ts'
import { runToExit, startReplica } from '../support/replica.ts'

/** The process as it is run in earnest: by its own identity, over its own line, to a vault at its own address. */

let folder: string
let vault: KeyVault
let platform: Server
let variables: Record<string, string>
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'parley-secrets-'))
  await writeFile(path.join(folder, 'vault.pem'), keyVaultCertificate)
})
after(() => rm(folder, { recursive: true, force: true }))

beforeEach(async () => {
  vault = await startKeyVault()
  // As App Service and Container Apps hand out a managed identity.
  platform = createServer((request, response) => {
    const resource = new URL(request.url ?? '', 'http://localhost').searchParams.get('resource')
    void vault.tokens.token(String(resource)).then(({ token, expiresAt }) => {
      response.setHeader('content-type', 'application/json')
      const expires_on = String(Math.floor(expiresAt / 1000))
      response.end(JSON.stringify({ access_token: token, expires_on, token_type: 'Bearer' }))
    })
  }).listen(0, '127.0.0.1')
  await once(platform, 'listening')
  variables = {
    KEY_VAULT_URL: vault.url,
    PARLEY_DATA_DIR: await mkdtemp(path.join(folder, 'data-')),
    HTTPS_PROXY: vault.proxy,
    NO_PROXY: '127.0.0.1',
    NODE_EXTRA_CA_CERTS: path.join(folder, 'vault.pem'),
    IDENTITY_ENDPOINT: `http://127.0.0.1:${(platform.address() as AddressInfo).port}/token`,
    IDENTITY_HEADER: 'header',
  }
})
afterEach(async () => {
  platform.closeAllConnections()
  platform.close()
  await vault[Symbol.asyncDispose]()
})

async function refusal(more: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await runToExit({ ...variables, ...more })
  assert.equal(code, 1)
  assert.doesNotMatch(stdout + stderr, /marked|token-/)
  const [line, ...others] = stderr.trim().split('\n')
  assert.deepEqual(others, [])
  return line ?? ''
}

test('it starts with what the vault has, asks for what it can use, and stops like any other', async () => {
  vault.put('openai-api-key', 'marked')
  await using replica = await startReplica(variables)
  assert.ok(replica.printed.some((line) => line.includes(`the Key Vault ${new URL(vault.url).host}`)))
  assert.deepEqual(new Set(vault.scopes), new Set(['https://vault.azure.net']))
  const asked = vault.asked.map((line) => line.replace(/^GET \/secrets\/|\/$/g, '')).sort()
  assert.deepEqual(asked, [
    ...['azure-storage-connection-string', 'database-url', 'openai-api-key', 'parley-alert-webhook'],
    ...[
      'parley-alert-webhook-secret',
      'parley-event-grid-key',
      'parley-master-keys',
      'redis-url',
      'service-bus-connection-string',
    ],
  ])
  assert.equal(await replica.terminate(), 0)
  assert.doesNotMatch(replica.printed.join('\n'), /marked/)
})

test('with a secret out of its time it does not start, and says why in one line', async () => {
  vault.put('openai-api-key', 'marked', { expires: Date.now() - 1000 })
  vault.put('redis-url', 'marked', { enabled: false })
  assert.equal(
    await refusal(),
    'Parley cannot start: The secret openai-api-key (OPENAI_API_KEY) has expired. The secret redis-url (REDIS_URL) is disabled.',
  )
})

test('what the vault has is held against the rest of the environment', async () => {
  vault.put('redis-url', 'redis://:marked@cache.example')
  assert.match(await refusal(), /REDIS_URL needs PARLEY_MASTER_KEYS/)
})

test('an address that is no vault is not asked, and no token is asked for', async () => {
  const message = await refusal({ KEY_VAULT_URL: 'https://parley.vault.example' })
  assert.match(message, /KEY_VAULT_URL has to be/)
  assert.deepEqual([vault.scopes, vault.asked], [[], []])
})
