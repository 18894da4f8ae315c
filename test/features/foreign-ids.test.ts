import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Caller, type EntraApp, startEntraApp } from '../support/entra-app.ts'
import { nativeClient } from '../support/native-client.ts'

const MARK = `mark-${randomUUID()}`
const EVERY_ROLE = ['Chat.User', 'Action.Approver', 'Config.Operator', 'Finance.Operator', 'Privacy.Officer', 'Admin']

/** What the walk asks a route with, by its operation; a new route stands here, or the walk fails. */
const walk: Record<
  string,
  { ids?: 'conversation' | 'turn' | 'run' | 'key'; body?: unknown; headers?: Record<string, string> }
> = {
  createConversation: { body: { specialist: 'hermes' } },
  listConversations: {},
  getConversation: { ids: 'conversation' },
  renameConversation: { ids: 'conversation', body: { title: 'mine now' } },
  deleteConversation: { ids: 'conversation' },
  listMessages: { ids: 'conversation' },
  startTurn: { ids: 'conversation', body: { message: 'hello' } },
  getTurn: { ids: 'turn' },
  resumeTurn: { ids: 'turn', headers: { accept: 'text/event-stream' } },
  cancelTurn: { ids: 'turn' },
  giveFeedback: { ids: 'turn', body: { rating: 'up' } },
  listRuns: {},
  getRun: { ids: 'run' },
  followRun: { ids: 'run', headers: { accept: 'text/event-stream' } },
  approveRun: { ids: 'run', body: { hash: '0'.repeat(64) } },
  rejectRun: { ids: 'run', body: { reason: 'no' } },
  cancelRun: { ids: 'run' },
  replayRun: { ids: 'run' },
  replayRuns: { body: { limit: 10 } },
  discardRun: { ids: 'run', body: { reason: 'no' } },
  settleRun: { ids: 'run', body: { status: 'failed', note: 'no' } },
  undoRun: { ids: 'run' },
  createKey: { body: { name: 'mine' } },
  listKeys: {},
  getKey: { ids: 'key' },
  rotateKey: { ids: 'key', body: {}, headers: { 'if-match': '"1"' } },
  revokeKey: { ids: 'key' },
  getUsage: {},
  listAudit: {},
  verifyAudit: {},
  listConsents: {},
  changeConsents: { body: { memory: true } },
  exportMe: {},
  eraseMe: {},
  signOutEverywhere: {},
  signPersonOut: { body: { person: 'owner' } },
  getMyErasure: {},
  exportPerson: { body: { person: 'owner' } },
  erasePerson: { body: { person: 'owner', confirm: 'erase-everything' } },
  getErasure: {},
}

/** Nothing in them belongs to anybody: what a version says, and how the process is. */
const nobodys = new Set([
  'isLive',
  'isReady',
  'signIn',
  'finishSignIn',
  'signOut',
  'getMe',
  'getMetrics',
  'getCapabilities',
  'listSpecialists',
  'askSpecialist',
  'listActions',
  'startRun',
  'listModels',
  'setCircuit',
  'listCompletionModels',
  'getCompletionModel',
  'createChatCompletion',
])
const isOfConfig = (path: string) =>
  path.startsWith('/api/v1/config/') ||
  path.startsWith('/api/v1/kill-switches') ||
  path.startsWith('/api/v1/budgets') ||
  path === '/config.schema.json'

interface Document {
  paths: Record<string, Record<string, { operationId: string }>>
}

// One for all: what is refused goes into the audit log, whose database takes its time to open.
let app: EntraApp
before(async () => {
  app = await startEntraApp()
})
after(() => app.stop())

test('nothing of one caller can be reached by another, of the same tenant or of another', async () => {
  const { url, issuer } = app
  const owner = await app.as({ oid: 'owner' })
  const { call } = nativeClient(url)

  const conversation = await call('POST', '/api/v1/conversations', { specialist: 'hermes' }, owner)
  assert.equal(conversation.status, 201, JSON.stringify(conversation.body))
  const turn = await call(
    'POST',
    `/api/v1/conversations/${conversation.body.id}/turns`,
    { message: `Please open a ticket: ${MARK}` },
    owner,
  )
  assert.equal(turn.status, 200, JSON.stringify(turn.body))
  const run = await call(
    'POST',
    '/api/v1/actions/create_ticket/runs',
    { arguments: { title: MARK, priority: 'high' } },
    owner,
  )
  assert.ok([200, 201, 202].includes(run.status), JSON.stringify(run.body))
  const key = await call('POST', '/api/v1/keys', { name: MARK }, owner)
  assert.equal(key.status, 201, JSON.stringify(key.body))
  const ids = { conversation: conversation.body.id, turn: turn.body.id, run: run.body.id, key: key.body.id }
  const before = await Promise.all([
    call('GET', `/api/v1/conversations/${ids.conversation}/messages`, undefined, owner),
    call('GET', `/api/v1/turns/${ids.turn}`, undefined, owner),
    call('GET', `/api/v1/runs/${ids.run}`, undefined, owner),
    call('GET', `/api/v1/keys/${ids.key}`, undefined, owner),
  ])
  assert.match(JSON.stringify(before[0].body), new RegExp(MARK))

  const strangers: Record<string, Caller> = {
    'a colleague': { oid: 'colleague' },
    'a guest': { oid: 'guest', tenant: issuer.guest },
    'a guest with every role': { oid: 'guest-admin', tenant: issuer.guest, roles: EVERY_ROLE },
    'a guest under the same id': { oid: 'owner', tenant: issuer.guest, roles: EVERY_ROLE },
  }
  const operator = await app.as({ oid: 'operator', roles: EVERY_ROLE })
  const { paths } = (await (await fetch(`${url}/openapi.json`, { headers: operator })).json()) as Document
  let walked = 0
  for (const [who, stranger] of Object.entries(strangers)) {
    const headers = await app.as(stranger)
    for (const [path, methods] of Object.entries(paths)) {
      for (const [method, { operationId }] of Object.entries(methods)) {
        if (nobodys.has(operationId) || isOfConfig(path)) continue
        const asked = walk[operationId]
        assert.ok(asked, `${operationId} is new: say in this test whose ids it takes`)
        assert.equal(path.includes('{'), asked.ids !== undefined, operationId)
        const target = asked.ids ? path.replace(/\{\w+\}/, ids[asked.ids]) : path
        const response = await fetch(url + target, {
          method: method.toUpperCase(),
          headers: {
            ...headers,
            ...asked.headers,
            ...(asked.body !== undefined && { 'content-type': 'application/json' }),
          },
          ...(asked.body !== undefined && { body: JSON.stringify(asked.body) }),
        })
        const text = await response.text()
        const what = `${who}: ${operationId} → ${response.status} ${text.slice(0, 300)}`
        if (asked.ids) assert.ok([403, 404].includes(response.status), what)
        else assert.ok(response.status < 500, what)
        for (const hidden of [MARK, ...(asked.ids ? [] : Object.values(ids))]) assert.ok(!text.includes(hidden), what)
        walked += 1
      }
    }
  }
  assert.ok(walked >= Object.keys(strangers).length * 15)

  const after = await Promise.all([
    call('GET', `/api/v1/conversations/${ids.conversation}/messages`, undefined, owner),
    call('GET', `/api/v1/turns/${ids.turn}`, undefined, owner),
    call('GET', `/api/v1/runs/${ids.run}`, undefined, owner),
    call('GET', `/api/v1/keys/${ids.key}`, undefined, owner),
  ])
  assert.deepEqual(
    after.map(({ status, body }) => [status, body]),
    before.map(({ status, body }) => [status, body]),
  )
})

test('nobody gets anywhere without a token, but to what is open', async () => {
  const operator = await app.as({ oid: 'operator', roles: EVERY_ROLE })
  const { paths } = (await (await fetch(`${app.url}/openapi.json`, { headers: operator })).json()) as Document
  for (const path of [...Object.keys(paths), '/docs', '/openapi.json']) {
    for (const method of Object.keys(paths[path] ?? { get: {} })) {
      const response = await fetch(app.url + path.replace(/\{\w+\}/g, 'x'), { method: method.toUpperCase() })
      await response.body?.cancel()
      const open = path.startsWith('/health/') || path === '/config.schema.json'
      if (path === '/auth/login') continue
      assert.equal(response.status, open ? 200 : 401, `${method} ${path}`)
      assert.equal(response.headers.get('www-authenticate'), open ? null : 'Bearer')
    }
  }
})

test('a token is taken as Authorization: Bearer and as api-key, and two that differ are not', async () => {
  const { authorization = '' } = await app.as({ oid: 'ana' })
  const other = await app.as({ oid: 'other' })
  const token = authorization.slice('Bearer '.length)
  const statusOf = async (headers: Record<string, string>) => {
    const response = await fetch(`${app.url}/api/v1/specialists`, { headers })
    await response.body?.cancel()
    return response.status
  }
  assert.equal(await statusOf({ authorization }), 200)
  assert.equal(await statusOf({ authorization: `bearer  ${token}` }), 200)
  assert.equal(await statusOf({ 'api-key': token }), 200)
  assert.equal(await statusOf({ 'api-key': token, authorization }), 200)
  assert.equal(await statusOf({ 'api-key': token, authorization: other.authorization ?? '' }), 401)
  assert.equal(await statusOf({ authorization: `Basic ${token}` }), 401)
  assert.equal(await statusOf({ authorization: 'Bearer' }), 401)
  assert.equal(await statusOf(await app.as({ oid: 'nobody', roles: [] })), 403)
})
