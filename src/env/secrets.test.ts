import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEnv } from '#env.ts'
import { reader } from './reader.ts'
import { rotationFault } from './rotation.ts'
import { secretsLeftOut } from './secrets.ts'

const KEY = Buffer.alloc(32, 7).toString('base64')
const OTHER = Buffer.alloc(32, 8).toString('base64')
const always = ['OPENAI_API_KEY', 'PARLEY_MASTER_KEYS', 'REDIS_URL', 'DATABASE_URL']
const leftOut = (variables: Record<string, string>) => secretsLeftOut(reader(variables, []))

test('a token goes to vaults of the clouds only', () => {
  const vaults = ['vault.azure.net', 'vault.azure.cn', 'vault.usgovcloudapi.net', 'vault.microsoftazure.de']
  for (const host of vaults) {
    for (const url of [`https://parley-1.${host}`, `https://parley-1.${host}/`]) {
      const refreshMs = 86_400_000
      assert.deepEqual(readEnv({ KEY_VAULT_URL: url }).secrets, { engine: 'key-vault', url, refreshMs })
    }
  }
  const others = [
    'http://parley.vault.azure.net',
    'https://vault.azure.net',
    'https://parley.vault.azure.net.example',
    'https://parleyvault.azure.net',
    'https://user@parley.vault.azure.net',
    'https://parley.vault.azure.net:8443',
    'https://parley.vault.azure.net/secrets',
    'https://parley.vault.azure.net?x=1',
    'https://a.b.vault.azure.net',
    'https://localhost:8443',
    'parley.vault.azure.net',
  ]
  for (const url of others) {
    assert.throws(() => readEnv({ KEY_VAULT_URL: url }), { message: /KEY_VAULT_URL has to be/ }, url)
  }
})

test('secrets are refreshed daily, or as often as is said', () => {
  const KEY_VAULT_URL = 'https://parley.vault.azure.net'
  const every = (minutes: string) => readEnv({ KEY_VAULT_URL, PARLEY_KEY_VAULT_REFRESH_MINUTES: minutes }).secrets
  assert.deepEqual(every('5'), { engine: 'key-vault', url: KEY_VAULT_URL, refreshMs: 300_000 })
  for (const minutes of ['0', '43201', 'x']) assert.throws(() => every(minutes), /REFRESH_MINUTES has to be/)
  assert.deepEqual(readEnv({}).secrets, { engine: 'environment' })
})

test('what the environment gives, or the process cannot use, is not looked up', () => {
  const bare = leftOut({})
  for (const name of always) assert.ok(bare.includes(name), name)
  assert.ok(!leftOut({ OPENAI_API_KEY: 'sk' }).includes('OPENAI_API_KEY'))
  assert.ok(leftOut({ OPENAI_API_KEY: ' ' }).includes('OPENAI_API_KEY'))
  const only: [string, Record<string, string>, Record<string, string>][] = [
    ['AZURE_OPENAI_API_KEY', {}, { AZURE_OPENAI_ENDPOINT: 'https://x.openai.azure.com' }],
    ['ENTRA_CLIENT_SECRET', {}, { ENTRA_CLIENT_ID: 'id' }],
    ['SERVICE_BUS_CONNECTION_STRING', { SERVICE_BUS_NAMESPACE: 'bus' }, {}],
    ['AZURE_STORAGE_CONNECTION_STRING', { AZURE_STORAGE_ACCOUNT_URL: 'https://x' }, {}],
    ['PARLEY_EVENT_GRID_KEY', { PARLEY_ROLE: 'worker' }, { PARLEY_ROLE: 'api' }],
    ['PARLEY_ALERT_SMTP_URL', {}, { PARLEY_ALERT_SMTP_TO: 'a@b' }],
  ]
  for (const [name, without, used] of only) {
    assert.ok(!leftOut(without).includes(name), name)
    assert.ok(leftOut(used).includes(name), name)
  }
})

test('what is shaped from the environment gives the secrets of now', () => {
  const variables: Record<string, string> = {
    ...{ OPENAI_API_KEY: 'sk-1', AZURE_OPENAI_ENDPOINT: 'https://x.openai.azure.com', AZURE_OPENAI_API_KEY: 'az-1' },
    ...{ ENTRA_TENANT_ID: 't', ENTRA_CLIENT_ID: 'c', ENTRA_CLIENT_SECRET: 'e-1' },
    ...{ REDIS_URL: 'redis://:r-1@h', DATABASE_URL: 'postgres://u:d-1@h/p', PARLEY_MASTER_KEYS: `a:${KEY}` },
    ...{ SERVICE_BUS_CONNECTION_STRING: 'Endpoint=sb://h;SharedAccessKey=s-1', AZURE_STORAGE_CONNECTION_STRING: 'b-1' },
    ...{ PARLEY_EVENT_GRID_KEY: 'g-1', PARLEY_ALERT_WEBHOOK: 'https://w/w-1' },
    ...{ PARLEY_ALERT_SMTP_URL: 'smtps://u:p-1@h', PARLEY_ALERT_SMTP_FROM: 'a@b', PARLEY_ALERT_SMTP_TO: 'c@d' },
  }
  const env = readEnv(variables)
  const { models, identity, kv, sql, queue, blob, rollout, governance, masterKeys } = env
  const now = () => [
    models.openai?.apiKey,
    models.azureOpenai?.apiKey,
    identity.engine === 'entra' && identity.clientSecret,
    kv.engine === 'redis' && kv.url,
    sql.engine === 'postgres' && sql.url,
    queue.engine === 'service-bus' && queue.connectionString,
    blob.engine === 'azure' && blob.connectionString,
    rollout.eventGridKey,
    governance.alerts.webhook,
    governance.alerts.mail?.smtpUrl,
  ]
  const first = now()
  for (const [name, value] of Object.entries(variables)) variables[name] = value.replace(/-1$|-1@/, (end) => `-2${end}`)
  variables.PARLEY_MASTER_KEYS = `b:${OTHER},a:${KEY}`
  assert.ok(first.every((value) => String(value).includes('-1')))
  assert.ok(
    now().every((value) => String(value).includes('-2')),
    now().join(),
  )
  assert.ok(masterKeys.source === 'environment')
  assert.deepEqual(
    masterKeys.keys.map(({ id }) => id),
    ['b', 'a'],
  )
  assert.equal(masterKeys.keys, masterKeys.keys)
})

test('a new password, key or signature is taken, another place is not', () => {
  const storage = 'DefaultEndpointsProtocol=https;AccountName=a'
  const cases: [string, string, string, string][] = [
    ['REDIS_URL', 'rediss://:one@h:1/0', 'rediss://user:two@h:1/0', 'rediss://:one@i:1/0'],
    ['DATABASE_URL', 'postgres://a:one@h/p', 'postgres://b:two@h/p', 'postgres://a:one@h/q'],
    ['PARLEY_ALERT_WEBHOOK', 'https://h/one', 'https://h/two', 'https://i/one'],
    [
      'SERVICE_BUS_CONNECTION_STRING',
      'Endpoint=sb://h/;SharedAccessKeyName=a;SharedAccessKey=one=',
      'SharedAccessKey=two=;Endpoint=sb://h/;SharedAccessKeyName=b',
      'Endpoint=sb://i/;SharedAccessKeyName=a;SharedAccessKey=one=',
    ],
    ['AZURE_STORAGE_CONNECTION_STRING', `${storage};AccountKey=one`, `${storage};AccountKey=two`, `${storage}b`],
    ['OPENAI_API_KEY', 'one', 'two', ''],
  ]
  const others = {
    ...{ REDIS_URL: 'redis://h', DATABASE_URL: 'postgres://h/p', PARLEY_MASTER_KEYS: `a:${KEY}` },
    AZURE_STORAGE_CONNECTION_STRING: 'x',
  }
  for (const [name, before, same, elsewhere] of cases) {
    const fault = (value: string) => rotationFault(name, { ...others, [name]: before }, { ...others, [name]: value })
    assert.equal(fault(same), undefined, name)
    if (elsewhere) assert.match(fault(elsewhere) ?? '', /another place/, name)
  }
})

test('a value that is none is refused without repeating it', () => {
  const before = { REDIS_URL: 'redis://h', DATABASE_URL: 'postgres://h/p', PARLEY_MASTER_KEYS: `a:${KEY}` }
  const wrong = { REDIS_URL: 'marked', DATABASE_URL: 'marked', PARLEY_MASTER_KEYS: 'marked' }
  for (const [name, value] of Object.entries(wrong)) {
    const fault = rotationFault(name, before, { ...before, [name]: value })
    assert.match(fault ?? '', new RegExp(name))
    assert.doesNotMatch(fault ?? '', /marked/)
  }
})

test('master keys are added and retired, but an id stays with its key', () => {
  const fault = (next: string) =>
    rotationFault('PARLEY_MASTER_KEYS', { PARLEY_MASTER_KEYS: `a:${KEY}` }, { PARLEY_MASTER_KEYS: next })
  assert.equal(fault(`b:${OTHER}, a:${KEY}`), undefined)
  assert.equal(fault(`b:${OTHER}`), undefined)
  assert.match(fault(`a:${OTHER}`) ?? '', /the id of another one/)
})
