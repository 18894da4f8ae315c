import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ModelsEnv } from '#env.ts'
import { checkModels } from './check.ts'
import { authHeaders, endpointOf } from './endpoint.ts'
import type { ModelSpec } from './schema.ts'

const empty: ModelsEnv = { openai: undefined, azureOpenai: undefined, egressHosts: [] }
const full: ModelsEnv = {
  openai: { apiKey: 'sk-1', baseUrl: 'https://api.openai.com/v1/' },
  azureOpenai: { endpoint: 'https://res.openai.azure.com/', apiKey: 'az-1' },
  egressHosts: ['models.example', 'gpu.example:8000', '127.0.0.1'],
}

function model(spec: Partial<ModelSpec>): ModelSpec {
  return { provider: 'offline', contextWindow: 1000, continuation: 'restart', price: { input: 1, output: 2 }, ...spec }
}

function faults(spec: Partial<ModelSpec>, env: ModelsEnv): string[] {
  return checkModels({ models: { m: model(spec) }, routes: {} }, env).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  )
}

function address(baseUrl: string, env: ModelsEnv = full): string[] {
  return faults({ provider: 'openai-compatible', model: 'x', baseUrl }, env)
}

test('the offline model needs nothing', () => {
  assert.deepEqual(faults({ provider: 'offline' }, empty), [])
})

test('a remote model needs its name and what the environment knows of its provider', () => {
  assert.deepEqual(faults({ provider: 'azure-openai' }, empty), [
    'models.m.deployment: azure-openai needs a deployment.',
    'models.m.provider: azure-openai needs AZURE_OPENAI_ENDPOINT to be set.',
  ])
  assert.deepEqual(faults({ provider: 'openai' }, empty), [
    'models.m.model: openai needs a model.',
    'models.m.provider: openai needs OPENAI_API_KEY to be set.',
  ])
  const keyless = { ...full, openai: { apiKey: undefined, baseUrl: 'https://api.openai.com/v1' } }
  assert.deepEqual(faults({ provider: 'openai', model: 'x' }, keyless), [
    'models.m.provider: openai needs OPENAI_API_KEY to be set.',
  ])
  assert.deepEqual(faults({ provider: 'openai-compatible' }, empty), [
    'models.m.model: openai-compatible needs a model.',
    'models.m.baseUrl: openai-compatible needs a baseUrl, or OPENAI_BASE_URL.',
  ])
  assert.deepEqual(faults({ provider: 'azure-openai', deployment: 'd' }, full), [])
  assert.deepEqual(faults({ provider: 'openai', model: 'x' }, full), [])
  assert.deepEqual(faults({ provider: 'openai-compatible', model: 'x' }, full), [])
})

test('an address is called only where the environment permits its host', () => {
  assert.deepEqual(address('https://models.example/v1'), [])
  assert.deepEqual(address('https://MODELS.example:8443/v1'), [])
  assert.deepEqual(address('http://gpu.example:8000/v1'), [])
  assert.deepEqual(address('http://127.0.0.1:1234/v1'), [])
  assert.deepEqual(address('https://api.openai.com/v1'), [])
  const refused = 'The environment does not permit the host'
  assert.deepEqual(address('https://gpu.example:8001/v1'), [
    `models.m.baseUrl: ${refused} gpu.example:8001 (PARLEY_EGRESS_HOSTS).`,
  ])
  assert.match(address('https://evil.models.example/v1').join(), /does not permit/)
  assert.match(address('http://localhost:1234/v1').join(), /does not permit/)
  assert.match(address('http://169.254.169.254/').join(), /does not permit/)
  assert.match(address('https://models.example/v1', empty).join(), /does not permit/)
})

test('an address is http(s), without credentials, query or fragment', () => {
  for (const url of ['ftp://models.example/', 'models.example', 'file:///etc/passwd']) {
    assert.match(address(url).join(), /not an http\(s\) address/)
  }
  for (const url of ['https://a:b@models.example/', 'https://models.example/?x=1', 'https://models.example/#x']) {
    assert.match(address(url).join(), /must not carry/)
  }
})

test('the key goes to the origin it belongs to, and nowhere else', () => {
  const auth = (baseUrl?: string) => {
    const endpoint = endpointOf(
      { ...model({ model: 'x', ...(baseUrl && { baseUrl }) }), provider: 'openai-compatible' },
      full,
    )
    return Array.isArray(endpoint) ? endpoint : endpoint.auth
  }
  assert.deepEqual(auth(), { scheme: 'bearer', key: 'sk-1' })
  assert.deepEqual(auth('https://api.openai.com/other'), { scheme: 'bearer', key: 'sk-1' })
  assert.deepEqual(auth('https://models.example/v1'), { scheme: 'none' })
})

test('addresses end without a slash, and Azure is spoken to through its v1 API', () => {
  const baseUrl = (endpoint: string) => {
    const env = { ...full, azureOpenai: { endpoint, apiKey: undefined } }
    const found = endpointOf({ ...model({ deployment: 'd' }), provider: 'azure-openai' }, env)
    return Array.isArray(found) ? found : [found.baseUrl, found.model, found.auth.scheme]
  }
  const expected = ['https://res.openai.azure.com/openai/v1', 'd', 'entra']
  for (const given of [
    'https://res.openai.azure.com',
    'https://res.openai.azure.com/openai/v1/',
    'https://res.openai.azure.com/openai',
  ]) {
    assert.deepEqual(baseUrl(given), expected)
  }
  const openai = endpointOf({ ...model({ model: 'x' }), provider: 'openai' }, full)
  assert.equal(Array.isArray(openai) ? '' : openai.baseUrl, 'https://api.openai.com/v1')
})

test('authenticates as each endpoint wants it', () => {
  const endpoint = { baseUrl: '', model: '', tokenLimit: 'max_tokens' } as const
  assert.deepEqual(authHeaders({ ...endpoint, auth: { scheme: 'api-key', key: 'k' } }, 'k'), { 'api-key': 'k' })
  assert.deepEqual(authHeaders({ ...endpoint, auth: { scheme: 'entra' } }, 't'), { authorization: 'Bearer t' })
  assert.deepEqual(authHeaders({ ...endpoint, auth: { scheme: 'none' } }, undefined), {})
})

test('routes name models that exist', () => {
  const routes = { good: { models: ['m'] }, bad: { models: ['m', 'gone', 'constructor'] } }
  assert.deepEqual(checkModels({ models: { m: model({}) }, routes }, empty), [
    { path: ['routes', 'bad', 'models', 1], message: 'There is no model named gone.' },
    { path: ['routes', 'bad', 'models', 2], message: 'There is no model named constructor.' },
  ])
})

test('whom one pays has a price; what runs here, or at hand, may be free', () => {
  const free = { price: { input: 0, output: 0 } }
  assert.deepEqual(faults({ provider: 'openai', model: 'x', ...free }, full), [
    'models.m.price: openai is paid for: it needs its price per million tokens.',
  ])
  assert.match(faults({ provider: 'azure-openai', deployment: 'x', ...free }, full).join(), /needs its price/)
  assert.deepEqual(faults({ provider: 'openai', model: 'x', price: { input: 0, output: 1 } }, full), [])
  assert.deepEqual(faults({ provider: 'openai-compatible', model: 'x', ...free }, full), [])
  assert.deepEqual(faults({ provider: 'offline', ...free }, full), [])
})
