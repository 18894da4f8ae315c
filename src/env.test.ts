import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEnv } from './env.ts'
import { ParleyError } from './errors.ts'

const KEY = Buffer.alloc(32, 7).toString('base64')
const faultOf = (variables: Record<string, string>): string => {
  try {
    readEnv(variables)
  } catch (error) {
    if (error instanceof ParleyError && error.code === 'environment_invalid') return error.message
    throw error
  }
  return ''
}

test('an empty environment runs on the embedded twins, on loopback', () => {
  const env = readEnv({})
  assert.equal(env.host, '127.0.0.1')
  assert.equal(env.port, 8080)
  assert.equal(env.kv.engine, 'sqlite')
  assert.equal(env.queue.engine, 'sqlite')
  assert.equal(env.sql.engine, 'pglite')
  assert.equal(env.role, 'all')
  assert.equal(env.masterKeys.source, 'file')
  assert.deepEqual(env.models, { openai: undefined, azureOpenai: undefined, egressHosts: [] })
})

test('each need is chosen by its own variables', () => {
  const env = readEnv({
    REDIS_URL: 'rediss://cache.example:10000',
    PARLEY_REDIS_CLUSTER: 'true',
    PARLEY_REDIS_AUTH: 'entra',
    DATABASE_URL: 'postgres://db.example/parley',
    PARLEY_DATABASE_AUTH: 'entra',
    SERVICE_BUS_NAMESPACE: 'bus.servicebus.windows.net',
    AZURE_STORAGE_ACCOUNT_URL: 'https://store.blob.core.windows.net',
    PARLEY_ROLE: 'worker',
    PARLEY_EGRESS_PRIVATE: '10.1.0.0/16',
    PARLEY_MCP_COMMANDS: 'node tools.mjs, uvx server --quiet',
    PARLEY_MASTER_KEYS: `new:${KEY},old:${Buffer.alloc(32, 8).toString('base64')}`,
    OPENAI_BASE_URL: 'http://127.0.0.1:9000/v1',
    AZURE_OPENAI_ENDPOINT: 'https://x.openai.azure.com',
    PARLEY_EGRESS_HOSTS: 'a.example, b.example',
  })
  assert.deepEqual(env.kv, { engine: 'redis', url: 'rediss://cache.example:10000', cluster: true, auth: 'entra' })
  assert.deepEqual(env.masterKeys.source === 'environment' && env.masterKeys.keys.map(({ id }) => id), ['new', 'old'])
  assert.deepEqual(env.models.openai, { apiKey: undefined, baseUrl: 'http://127.0.0.1:9000/v1' })
  assert.deepEqual(env.models.egressHosts, ['a.example', 'b.example'])
  assert.deepEqual(env.sql, { engine: 'postgres', url: 'postgres://db.example/parley', auth: 'entra', poolSize: 10 })
  assert.deepEqual(env.queue, {
    engine: 'service-bus',
    connectionString: undefined,
    namespace: 'bus.servicebus.windows.net',
    queue: 'parley-runs',
  })
  assert.deepEqual(env.blob, {
    engine: 'azure',
    connectionString: undefined,
    accountUrl: 'https://store.blob.core.windows.net',
    versions: 'config-versions',
    rollout: 'rollout',
  })
  assert.deepEqual(env.rollout.floors, [
    { weight: 5, conversations: 50 },
    { weight: 25, conversations: 100 },
    { weight: 50, conversations: 200 },
  ])
  assert.equal(env.rollout.secondOperator, true)
  assert.deepEqual(env.actions.egressHosts, ['a.example', 'b.example'])
  assert.deepEqual(env.actions.privateRanges, ['10.1.0.0/16'])
  assert.equal(env.actions.pinned, true)
  assert.deepEqual(env.actions.mcpCommands, [
    ['node', 'tools.mjs'],
    ['uvx', 'server', '--quiet'],
  ])
})

test('a half-set or contradictory environment is refused, every variable named at once', () => {
  assert.match(faultOf({ REDIS_URL: 'redis://localhost' }), /REDIS_URL needs PARLEY_MASTER_KEYS/)
  assert.match(faultOf({ REDIS_URL: 'redis://localhost' }), /REDIS_URL needs DATABASE_URL/)
  assert.match(faultOf({ REDIS_URL: 'redis://localhost' }), /REDIS_URL needs AZURE_STORAGE_CONNECTION_STRING/)
  assert.doesNotMatch(faultOf({ REDIS_URL: 'redis://localhost', PARLEY_ROLLOUT_DIR: '/shared' }), /AZURE_STORAGE/)
  assert.match(faultOf({ SERVICE_BUS_NAMESPACE: 'x.servicebus.windows.net' }), /SERVICE_BUS needs DATABASE_URL/)
  for (const role of ['api', 'worker']) {
    assert.match(faultOf({ PARLEY_ROLE: role, DATABASE_URL: 'postgres://x/y' }), /PARLEY_ROLE=\w+ needs REDIS_URL/)
  }
  const several = faultOf({
    PORT: '99999',
    PARLEY_REDIS_AUTH: 'boss',
    REDIS_URL: 'http://x',
    PARLEY_MASTER_KEYS: 'a:short',
  })
  for (const name of ['PORT', 'PARLEY_REDIS_AUTH', 'REDIS_URL', 'PARLEY_MASTER_KEYS'])
    assert.match(several, new RegExp(name))
})

test('numbers are taken at their limits and refused one past them', () => {
  assert.equal(readEnv({ PORT: '65535' }).port, 65_535)
  assert.match(faultOf({ PORT: '65536' }), /PORT/)
  assert.equal(readEnv({ PARLEY_TURN_LEASE_MS: '500' }).limits.turnLeaseMs, 500)
  assert.match(faultOf({ PARLEY_TURN_LEASE_MS: '499' }), /PARLEY_TURN_LEASE_MS/)
  assert.equal(readEnv({ PARLEY_START_PATIENCE_MS: '100' }).limits.startPatienceMs, 100)
  assert.match(faultOf({ PARLEY_START_PATIENCE_MS: '99' }), /PARLEY_START_PATIENCE_MS/)
  assert.equal(readEnv({ PARLEY_CLOSE_MS: '1000' }).limits.closeMs, 1000)
  assert.match(faultOf({ PARLEY_CLOSE_MS: '999' }), /PARLEY_CLOSE_MS/)
  for (const wrong of ['-1', '1.5', '1e3', 'many']) assert.match(faultOf({ PORT: wrong }), /PORT/)
})

test('keys of the wrong length or with the same id twice are refused', () => {
  assert.match(faultOf({ PARLEY_MASTER_KEYS: `a:${Buffer.alloc(31).toString('base64')}` }), /32 bytes/)
  assert.match(faultOf({ PARLEY_MASTER_KEYS: `a:${KEY},a:${KEY}` }), /ids different/)
})

test('floors of a rollout are steps whose weights rise, or none', () => {
  const floorsOf = (given: string) => readEnv({ PARLEY_ROLLOUT_FLOORS: given }).rollout.floors
  assert.deepEqual(floorsOf('none'), [])
  assert.deepEqual(floorsOf('10:5,99.5:1'), [
    { weight: 10, conversations: 5 },
    { weight: 99.5, conversations: 1 },
  ])
  for (const given of ['10', '10:5,10:5', '100:5', '0:5', '5:0', '5:1.5', '5:50:1', 'a:b', '5:50,']) {
    assert.match(faultOf({ PARLEY_ROLLOUT_FLOORS: given }), /PARLEY_ROLLOUT_FLOORS/, given)
  }
})

test('Entra ID is set whole or not at all', () => {
  const whole = { ENTRA_TENANT_ID: 'home', ENTRA_CLIENT_ID: 'app' }
  assert.deepEqual(readEnv({}).identity, { engine: 'local' })
  assert.deepEqual(
    readEnv({ ...whole, PARLEY_ENTRA_GUESTS: 'Guest, other', PARLEY_ENTRA_AUDIENCES: 'api://chat' }).identity,
    {
      engine: 'entra',
      authority: 'https://login.microsoftonline.com',
      v1Issuer: 'https://sts.windows.net',
      graph: 'https://graph.microsoft.com',
      tenant: 'home',
      clientId: 'app',
      clientSecret: undefined,
      audiences: ['app', 'api://app', 'api://chat'],
      scope: 'access_as_user',
      guests: ['guest', 'other'],
      publicUrl: 'http://127.0.0.1:8080',
    },
  )
  const halves: Record<string, string>[] = [
    { ENTRA_TENANT_ID: 'home' },
    { ENTRA_CLIENT_ID: 'app' },
    { ENTRA_CLIENT_SECRET: 's' },
    { PARLEY_ENTRA_GUESTS: 'guest' },
  ]
  for (const half of halves) assert.match(faultOf(half), /Entra ID needs ENTRA_TENANT_ID and ENTRA_CLIENT_ID/)
  assert.match(faultOf({ ...whole, PARLEY_ENTRA_GUESTS: 'a/b' }), /ids of tenants/)
  assert.match(faultOf({ ...whole, PARLEY_ENTRA_AUTHORITY: 'http://plain' }), /PARLEY_ENTRA_AUTHORITY/)
  assert.match(faultOf({ ...whole, PARLEY_PUBLIC_URL: 'http://chat.example.com' }), /PARLEY_PUBLIC_URL has to be https/)
  const inPublic = { ...whole, ENTRA_CLIENT_SECRET: 's', HOST: '0.0.0.0' }
  assert.match(faultOf(inPublic), /PARLEY_PUBLIC_URL is needed/)
  assert.doesNotMatch(faultOf({ ...inPublic, PARLEY_PUBLIC_URL: 'https://chat.example.com' }), /PARLEY_PUBLIC_URL/)
  for (const url of ['https://chat.example.com', 'http://localhost:8080', 'http://127.0.0.1:9000']) {
    assert.doesNotMatch(faultOf({ ...whole, PARLEY_PUBLIC_URL: url }), /PARLEY_PUBLIC_URL/)
  }
})
