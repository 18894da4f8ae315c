import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { type EntraApp, startEntraApp } from '../support/entra-app.ts'
import { freePort } from '../support/free-port.ts'
import { type Graph, startGraph } from '../support/graph.ts'
import { nativeClient } from '../support/native-client.ts'
import { type OidcIssuer, startOidcIssuer } from '../support/oidc-issuer.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { RpcClient } from '../support/rpc-client.ts'
import { SignInBrowser } from '../support/sign-in-browser.ts'
import { startUpstream } from '../support/upstream.ts'

/** What Entra says of somebody in more than two hundred groups. */
const TOO_MANY = {
  _claim_names: { groups: 'src1' },
  _claim_sources: { src1: { endpoint: 'https://graph.windows.net/' } },
}

let opened: AsyncDisposableStack
let issuer: OidcIssuer
let graph: Graph
let app: EntraApp
/** One that nobody gave a secret, so that it can ask for nothing as a user. */
let bare: EntraApp

before(async () => {
  opened = new AsyncDisposableStack()
  const port = await freePort()
  issuer = opened.use(await startOidcIssuer([`http://127.0.0.1:${port}/auth/callback`]))
  graph = opened.use(await startGraph(issuer))
  const upstream = await startUpstream(() => ({ tokens: 50 }))
  opened.defer(() => upstream.close())
  const postgres = opened.use(await sharedPostgres())
  const price = { input: 0, output: 10_000 }
  const config = chatConfig({ primary: upstreamModel('primary', upstream.baseUrl, { price, maxOutput: 100 }) })
  const variables = { PARLEY_EGRESS_HOSTS: upstream.host, PARLEY_ENTRA_GRAPH: graph.origin }
  const at = async () => ({ ...variables, DATABASE_URL: await postgres.createDatabase() })
  app = opened.use(await startEntraApp({ issuer, config, variables: { ...(await at()), PORT: String(port) } }))
  bare = opened.use(await startEntraApp({ issuer, config, variables: { ...(await at()), ENTRA_CLIENT_SECRET: '' } }))
})
after(() => opened.disposeAsync())

async function setBudget({ url, as }: EntraApp, group: string, limitUsd: number): Promise<void> {
  const finance = await as({ oid: 'fin', roles: ['Finance.Operator'] })
  const path = `/api/v1/budgets/group:${issuer.home.id}:${group}`
  const set = await nativeClient(url).call('PUT', path, { limitUsd, period: 'month' }, finance)
  assert.equal(set.status, 200, JSON.stringify(set.body))
}

const complete = ({ url }: EntraApp, headers: Record<string, string>) =>
  nativeClient(url).call(
    'POST',
    '/v1/chat/completions',
    { model: 'default', messages: [{ role: 'user', content: 'hi' }] },
    headers,
  )

test('without budgets of groups nobody asks, and who is in too many is served', async () => {
  const oid = randomUUID()
  assert.equal((await complete(app, await app.as({ oid, claims: TOO_MANY }))).status, 200)
  assert.equal((await complete(bare, await bare.as({ oid, claims: TOO_MANY }))).status, 200)
  assert.equal(graph.asked.length, 0)
})

test('who is in too many groups spends from the budgets of those, and is refused where they are used up', async () => {
  const [member, stranger] = [randomUUID(), randomUUID()]
  graph.groups.set(member, ['spenders', 'idle'])
  await setBudget(app, 'spenders', 1.2)
  await setBudget(app, 'others', 0.1)
  const headers = await app.as({ oid: member, claims: TOO_MANY })
  assert.equal((await complete(app, headers)).status, 200)
  const finance = await app.as({ oid: 'fin', roles: ['Finance.Operator'] })
  const { items } = (await nativeClient(app.url).call('GET', '/api/v1/budgets', undefined, finance)).body
  const spentOf = (group: string) =>
    items.find(({ scope }: { scope: string }) => scope.endsWith(`:${group}`)).spentUsd as number
  assert.deepEqual([spentOf('spenders') > 0, spentOf('others')], [true, 0])
  const refused = await complete(app, headers)
  assert.deepEqual([refused.status, refused.body.error.code], [402, 'budget_exceeded'])
  assert.equal((await complete(app, await app.as({ oid: stranger, claims: TOO_MANY }))).status, 200)
  assert.deepEqual([...new Set(graph.asked.map(({ oid }) => oid))], [member, stranger])
})

test('a session of a browser is of the same groups', async () => {
  issuer.user = { oid: randomUUID(), name: 'Ana', roles: ['Chat.User'] }
  graph.groups.set(issuer.user.oid, ['others'])
  issuer.claims = TOO_MANY
  const browser = new SignInBrowser()
  await browser.visit(`${app.url}/auth/login`)
  issuer.claims = {}
  const refused = await complete(app, { cookie: browser.cookies(app.url), origin: app.url })
  assert.deepEqual([refused.status, refused.body.error.code], [402, 'budget_exceeded'])
})

test('while the directory does not say, who may be in a group with a budget is refused, on every way in', async () => {
  graph.fault = { status: 503, code: 'serviceNotAvailable' }
  const headers = await app.as({ oid: randomUUID(), claims: TOO_MANY })
  const refused = await complete(app, headers)
  assert.deepEqual([refused.status, refused.body.error.code], [503, 'groups_unknown'])
  const { call } = nativeClient(app.url)
  const { body } = await call('POST', '/api/v1/conversations', { specialist: 'plain' }, headers)
  const turn = await call('POST', `/api/v1/conversations/${body.id}/turns`, { message: 'hi' }, headers)
  assert.deepEqual([turn.status, turn.body.error.code], [503, 'groups_unknown'])
  const socket = await RpcClient.connect(app.url, 'plain', { headers })
  socket.socket.send(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'chat', params: { message: 'hi' } }))
  assert.equal(Object((await socket.nextAnswer()).error?.data).code, 'groups_unknown')
  socket.socket.terminate()
  graph.fault = undefined
  // Whoever is in few enough is not concerned.
  assert.equal((await complete(app, await app.as({ oid: randomUUID(), claims: { groups: ['few'] } }))).status, 200)
})

test('an application, and a process without a secret, cannot ask: they are refused as long as a group has a budget', async () => {
  const service = { scp: undefined, idtyp: 'app', ...TOO_MANY }
  const ofService = await complete(app, await app.as({ oid: randomUUID(), claims: service }))
  assert.deepEqual([ofService.status, ofService.body.error.code], [503, 'groups_unknown'])
  await setBudget(bare, 'spenders', 100)
  const refused = await complete(bare, await bare.as({ oid: randomUUID(), claims: TOO_MANY }))
  assert.deepEqual([refused.status, refused.body.error.code], [503, 'groups_unknown'])
  assert.equal((await complete(bare, await bare.as({ oid: randomUUID() }))).status, 200)
})
