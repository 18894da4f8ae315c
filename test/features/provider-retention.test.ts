import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { partitionOf } from '#identity/principal.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { type EntraApp, startEntraApp } from '../support/entra-app.ts'
import { nativeClient } from '../support/native-client.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

const oid = 'oid-of-ana-7f3a'
const name = 'Ana Silva'
/** What clients may say of who asks. */
const said = { user: oid, safety_identifier: oid, prompt_cache_key: oid, metadata: { who: oid }, store: true }

let opened: AsyncDisposableStack
let upstream: Upstream
let app: EntraApp

before(async () => {
  opened = new AsyncDisposableStack()
  upstream = await startUpstream()
  opened.defer(() => upstream.close())
  const price = { input: 1, output: 1 }
  const azure = {
    provider: 'azure-openai',
    deployment: 'gpt',
    contextWindow: 32_000,
    continuation: 'restart',
    price,
  } as const
  const base = chatConfig({ azure, plain: upstreamModel('plain', upstream.baseUrl) })
  const config = {
    ...base,
    models: { ...base.models, told: upstreamModel('told', upstream.baseUrl, { endUser: 'pseudonym' }) },
    routes: { default: { models: ['azure'] }, compatible: { models: ['plain'] }, pseudonymous: { models: ['told'] } },
  }
  const variables = {
    PARLEY_EGRESS_HOSTS: upstream.host,
    AZURE_OPENAI_ENDPOINT: new URL(upstream.baseUrl).origin,
    AZURE_OPENAI_API_KEY: 'key',
  }
  app = opened.use(await startEntraApp({ config, variables }))
})
after(() => opened.disposeAsync())

test('neither a turn nor a relayed request tells a provider who asks, and Azure OpenAI is told to keep nothing', async () => {
  const headers = await app.as({ oid, claims: { name, preferred_username: 'ana@example.com' } })
  const { call } = nativeClient(app.url)
  upstream.requests.length = 0
  const { body: conversation } = await call('POST', '/api/v1/conversations', { specialist: 'plain' }, headers)
  const turn = await call('POST', `/api/v1/conversations/${conversation.id}/turns`, { message: 'hello' }, headers)
  assert.equal(turn.body.status, 'completed', JSON.stringify(turn.body))
  for (const model of ['default', 'compatible', 'compatible']) {
    const asked = { model, messages: [{ role: 'user', content: 'hello' }], ...said }
    assert.equal((await call('POST', '/v1/chat/completions', asked, headers)).status, 200)
  }
  const stores = upstream.requests.map(({ body }) => body.store)
  assert.deepEqual(stores, [false, false, undefined, undefined])
  const sent = JSON.stringify(upstream.requests.map(({ body, headers: given }) => [body, given]))
  const person = partitionOf({ tenant: app.issuer.home.id, id: oid })
  for (const word of [oid, name, 'ana@example.com', app.issuer.home.id, person]) {
    assert.ok(!sent.includes(word), `${word} is told to the provider`)
  }
})

test('where a version asks for it a provider is told a pseudonym, the same each time and none that the caller chose', async () => {
  const headers = await app.as({ oid })
  const { call } = nativeClient(app.url)
  upstream.requests.length = 0
  for (let time = 0; time < 2; time++) {
    const asked = { model: 'pseudonymous', messages: [{ role: 'user', content: 'hello' }], ...said }
    assert.equal((await call('POST', '/v1/chat/completions', asked, headers)).status, 200)
  }
  const person = partitionOf({ tenant: app.issuer.home.id, id: oid })
  assert.deepEqual(
    upstream.requests.map(({ body }) => body.user),
    [person, person],
  )
  assert.ok(!JSON.stringify(upstream.requests).includes(oid))
})
