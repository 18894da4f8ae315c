import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#platform/clock.ts'
import { openKeyVault, secretNameOf } from '#platform/secrets/key-vault.ts'
import type { SecretStore } from '#platform/secrets/secrets.ts'
import { manualClock } from '../support/clock.ts'
import { type KeyVault, startKeyVault } from '../support/key-vault.ts'
import { secretsContract } from './secrets.ts'

const { signal } = new AbortController()

async function open(clock = systemClock): Promise<{ store: SecretStore; vault: KeyVault } & AsyncDisposable> {
  const vault = await startKeyVault()
  // Read when the client is made.
  process.env.HTTPS_PROXY = vault.proxy
  const store = await openKeyVault({ url: vault.url, tokens: vault.tokens, clock })
  delete process.env.HTTPS_PROXY
  return { store, vault, [Symbol.asyncDispose]: () => vault[Symbol.asyncDispose]() }
}

secretsContract('key-vault', async () => {
  const { store, vault } = await open()
  return {
    store,
    set: (variable, value) => {
      const name = secretNameOf(variable)
      if (value === undefined) vault.remove(name)
      else vault.put(name, value)
    },
    [Symbol.asyncDispose]: () => vault[Symbol.asyncDispose](),
  }
})

test('a secret is asked for by its name in the vault, with a token for Key Vault, which is asked for once', async () => {
  await using under = await open()
  const { store, vault } = under
  vault.put('azure-openai-api-key', 'first')
  vault.put('azure-openai-api-key', 'second')
  assert.equal(await store.read('AZURE_OPENAI_API_KEY', signal), 'second')
  assert.equal(await store.read('AZURE_OPENAI_API_KEY', signal), 'second')
  assert.deepEqual(vault.asked, ['GET /secrets/azure-openai-api-key/', 'GET /secrets/azure-openai-api-key/'])
  assert.deepEqual(vault.scopes, ['https://vault.azure.net/.default'])
})

test('a name that no secret can have is not asked for', async () => {
  await using under = await open()
  for (const name of ['', 'A B', '../KEYS', 'Ä', '1ST', `A${'_'.repeat(127)}`]) {
    await assert.rejects(under.store.read(name, signal), RangeError, name)
  }
  assert.deepEqual(under.vault.asked, [])
})

test('what is disabled, expired or not valid yet is refused by name, and never shown', async () => {
  const clock = manualClock(Date.UTC(2026, 0, 5, 12))
  await using under = await open(clock)
  const { store, vault } = under
  const refused = async (variable: string, message: RegExp) => {
    await assert.rejects(store.read(variable, signal), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'environment_invalid')
      assert.match(error.message, message)
      assert.doesNotMatch(JSON.stringify([error.message, error.stack, error.cause]), /marked/)
      return true
    })
  }
  vault.put('openai-api-key', 'marked', { enabled: false })
  await refused('OPENAI_API_KEY', /^The secret openai-api-key \(OPENAI_API_KEY\) is disabled\.$/)
  vault.put('redis-url', 'marked', { expires: clock.now() })
  await refused('REDIS_URL', /^The secret redis-url \(REDIS_URL\) has expired\.$/)
  vault.put('database-url', 'marked', { notBefore: clock.now() + 1000 })
  await refused('DATABASE_URL', /^The secret database-url \(DATABASE_URL\) is not valid yet\.$/)
  vault.put('redis-url', 'good', { expires: clock.now() + 1000, notBefore: clock.now() })
  assert.equal(await store.read('REDIS_URL', signal), 'good')
})

test('who may not read, or may not come in, is told what it takes', async () => {
  await using under = await open()
  const { store, vault } = under
  vault.put('openai-api-key', 'sk-1')
  const told = async (kind: 'not-authorized' | 'firewall' | 'foreign-token', message: RegExp) => {
    vault.fault = { kind }
    await assert.rejects(store.read('OPENAI_API_KEY', signal), { code: 'environment_invalid', message })
  }
  await told('not-authorized', /may not be read: .*"Key Vault Secrets User" \(ForbiddenByRbac\)/)
  await told('firewall', /The firewall of the vault refuses this process/)
  await told('foreign-token', /does not take the token of the process \(AKV10032\)/)
})

test('a vault that is away, broken or busy says so, and for how long', async () => {
  await using under = await open()
  const { store, vault } = under
  vault.put('openai-api-key', 'sk-1')
  const away = { code: 'secrets_unavailable' }
  vault.fault = { kind: 'cut' }
  await assert.rejects(store.read('OPENAI_API_KEY', signal), {
    ...away,
    message: /^The vault is out of reach \(\w+\)\.$/,
  })
  vault.fault = { kind: 'broken' }
  await assert.rejects(store.read('OPENAI_API_KEY', signal), { ...away, message: /\(InternalServerError\)/ })
  vault.fault = { kind: 'throttled', times: 1, retryAfterS: 7 }
  await assert.rejects(store.read('OPENAI_API_KEY', signal), { ...away, retryAfterMs: 7000 })
  assert.equal(await store.read('OPENAI_API_KEY', signal), 'sk-1')
})

test('a vault that says nothing, or a token that does not come, is waited for ten seconds', async () => {
  const clock = manualClock()
  await using under = await open(clock)
  under.vault.fault = { kind: 'silent' }
  const silent = under.store.read('OPENAI_API_KEY', signal)
  clock.advance(10_000)
  await assert.rejects(silent, { code: 'secrets_unavailable', message: /TimeoutError/ })
  const tokens = { token: () => new Promise<never>(() => {}) }
  process.env.HTTPS_PROXY = under.vault.proxy
  const tokenless = await openKeyVault({ url: under.vault.url, tokens, clock })
  delete process.env.HTTPS_PROXY
  under.vault.fault = undefined
  const waiting = tokenless.read('OPENAI_API_KEY', signal)
  clock.advance(10_000)
  await assert.rejects(waiting, { code: 'secrets_unavailable' })
})

test('without a token nothing is sent, and the credential is not repeated', async () => {
  await using under = await open()
  process.env.HTTPS_PROXY = under.vault.proxy
  const tokens = { token: () => Promise.reject(Object.assign(new Error('marked'), { name: 'AuthenticationError' })) }
  const store = await openKeyVault({ url: under.vault.url, tokens, clock: systemClock })
  delete process.env.HTTPS_PROXY
  await assert.rejects(store.read('OPENAI_API_KEY', signal), {
    code: 'secrets_unavailable',
    message: 'No token for the vault can be had (AuthenticationError).',
  })
  assert.deepEqual(under.vault.asked, [])
})

test('a token is not asked for, and not sent, where the challenge is for somebody else', async () => {
  await using under = await open()
  const { store, vault } = under
  for (const resource of ['https://vault.azure.net.example', 'https://management.azure.com', 'https://azure.example']) {
    vault.resource = resource
    await assert.rejects(store.read('OPENAI_API_KEY', signal), {
      code: 'environment_invalid',
      message: /not for Key Vault/,
    })
  }
  assert.deepEqual([vault.asked, vault.scopes], [[], []])
})
