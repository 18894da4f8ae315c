import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { ActionSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import { chatConfig } from '../support/chat-config.ts'
import { type EntraApp, startEntraApp } from '../support/entra-app.ts'
import { nativeClient } from '../support/native-client.ts'
import { sharedPostgres } from '../support/postgres.ts'

const postgres = await sharedPostgres()
after(() => postgres[Symbol.asyncDispose]())

const base = chatConfig({
  offline: { provider: 'offline', contextWindow: 32_000, continuation: 'restart', price: { input: 0, output: 0 } },
})
const calculator: ActionSpec = {
  description: 'Works out a sum.',
  builtin: 'calculate',
  effect: 'idempotent',
  parameters: {
    type: 'object',
    additionalProperties: false,
    required: ['expression'],
    properties: { expression: { type: 'string' } },
  },
}
const config: ConfigDocument = {
  ...base,
  actions: {
    ...base.actions,
    calculate: { ...calculator, undo: { action: 'calculate_back', arguments: { expression: '1+1' } } },
    calculate_back: calculator,
    calculate_held: { ...calculator, approval: { ownAllowed: true, roles: ['Action.Approver'] } },
  },
}

async function openApp(variables: Record<string, string> = {}) {
  const app = await startEntraApp({
    config,
    variables: { DATABASE_URL: await postgres.createDatabase(), ...variables },
  })
  const { call } = nativeClient(app.url)
  const asked = (headers: Record<string, string>, path: string, body: unknown) =>
    call('POST', `/api/v1/${path}`, body, headers)
  return Object.assign(app, {
    call,
    start: (headers: Record<string, string>, action = 'calculate', expression = '6*7') =>
      asked({ prefer: 'wait=10', ...headers }, `actions/${action}/runs`, { arguments: { expression } }),
    undo: (headers: Record<string, string>, run: string) =>
      asked({ prefer: 'wait=10', ...headers }, `runs/${run}/undo`, undefined),
    replay: (headers: Record<string, string>, run: string) => asked(headers, `runs/${run}/replay`, undefined),
    replayAll: (headers: Record<string, string>, filter: object) => asked(headers, 'runs/replay', filter),
  })
}

type Answer = Awaited<ReturnType<ReturnType<typeof nativeClient>['call']>>

function leftOf({ headers }: Answer) {
  return ['limit', 'remaining'].map((what) => headers.get(`x-ratelimit-${what}-requests`))
}

function assertLimited(answer: Answer, message: RegExp) {
  assert.equal(answer.status, 429, JSON.stringify(answer.body))
  assert.equal(answer.body.error.code, 'rate_limited')
  assert.match(answer.body.error.message, message)
  assert.ok(Number(answer.headers.get('retry-after')) >= 1)
}

async function failed(app: Awaited<ReturnType<typeof openApp>>, headers: Record<string, string>) {
  const { status, body } = await app.start(headers, 'calculate', '1/')
  assert.deepEqual([status, body.status], [200, 'failed'], JSON.stringify(body))
  return body.id as string
}

test('runs started, undone and replayed without a chat are requests of their principal, as turns are', async () => {
  await using app = await openApp({ PARLEY_LIMIT_REQUESTS_PER_MINUTE: '5' })
  const ana = await app.as({ oid: 'ana', roles: ['Chat.User', 'Action.Approver'] })
  const done = await app.start(ana)
  assert.equal(done.body.status, 'succeeded', JSON.stringify(done.body))
  assert.deepEqual(leftOf(done), ['5', '4'])
  assert.match(done.headers.get('x-ratelimit-reset-requests') ?? '', /^12s$/)
  const broken = await failed(app, ana)
  const answers = [
    await app.undo(ana, done.body.id),
    await app.replay(ana, broken),
    await app.replayAll(ana, { limit: 1 }),
  ]
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200],
    JSON.stringify(answers.map(({ body }) => body)),
  )
  assert.deepEqual(answers.map(leftOf), [
    ['5', '2'],
    ['5', '1'],
    ['5', '0'],
  ])

  const refusals = [
    await app.start(ana),
    await app.undo(ana, done.body.id),
    await app.replay(ana, broken),
    await app.replayAll(ana, { limit: 1 }),
  ]
  for (const refused of refusals) {
    assertLimited(refused, /^Too many requests\.$/)
    assert.deepEqual(leftOf(refused), ['5', '0'])
  }
  const { body: conversation } = await app.call('POST', '/api/v1/conversations', { specialist: 'helper' }, ana)
  const said = await app.call('POST', `/api/v1/conversations/${conversation.id}/turns`, { message: 'hello' }, ana)
  assertLimited(said, /^Too many requests\.$/)
  // What is refused is not taken on, and others are not held up.
  const { body: listed } = await app.call('GET', '/api/v1/runs?limit=10', undefined, ana)
  assert.equal(listed.items.length, 3)
  assert.equal((await app.start(await app.as({ oid: 'ben' }))).status, 200)
})

test('applications and organisations have limits of their own for runs', async () => {
  await using app = await openApp({
    PARLEY_LIMIT_CLIENT_REQUESTS_PER_MINUTE: '2',
    PARLEY_LIMIT_TENANT_REQUESTS_PER_MINUTE: '3',
  })
  const by = (oid: string, azp: string) => app.as({ oid, claims: { azp } })
  for (const oid of ['ana', 'ben']) assert.equal((await app.start(await by(oid, 'page'))).status, 200)
  assertLimited(await app.start(await by('cy', 'page')), /application/)
  assert.equal((await app.start(await by('cy', 'desktop'))).status, 200)
  assertLimited(await app.start(await by('dee', 'phone')), /organisation/)
})

test('what is stopped is not begun without a chat either; what was taken on before waits until it may go on', async () => {
  await using app = await openApp()
  const ana = await app.as({ oid: 'ana', roles: ['Chat.User', 'Action.Approver', 'Config.Operator'] })
  const done = (await app.start(ana)).body.id
  const broken = await failed(app, ana)
  const held = await app.start({ ...ana, prefer: 'wait=0' }, 'calculate_held')
  assert.equal(held.body.status, 'awaiting-approval', JSON.stringify(held.body))
  const stop = (scope: string) => app.call('PUT', `/api/v1/kill-switches/${scope}`, { reason: 'a drill' }, ana)
  const lift = async (scope: string) => {
    assert.equal((await app.call('DELETE', `/api/v1/kill-switches/${scope}`, undefined, ana)).status, 204)
  }
  const assertKilled = ({ status, body }: Answer) =>
    assert.deepEqual([status, body.error?.code], [503, 'killed'], JSON.stringify(body))

  assert.equal((await stop('action:calculate')).status, 200)
  assertKilled(await app.start(ana))
  assertKilled(await app.replay(ana, broken))
  assertKilled(await app.replayAll(ana, { action: 'calculate', limit: 10 }))
  assert.equal((await app.start(ana, 'calculate_back')).body.status, 'succeeded')
  await lift('action:calculate')
  assert.equal((await stop('action:calculate_back')).status, 200)
  assertKilled(await app.undo(ana, done))
  await lift('action:calculate_back')
  assert.equal((await app.undo(ana, done)).body.status, 'succeeded')

  assert.equal((await stop('all')).status, 200)
  assertKilled(await app.start(ana))
  assertKilled(await app.replayAll(ana, { limit: 10 }))
  const { argumentsHash: hash } = held.body
  assert.equal((await app.call('POST', `/api/v1/runs/${held.body.id}/approve`, { hash }, ana)).status, 200)
  await becomes(app, ana, held.body.id, 'retrying')
  await lift('all')
  await becomes(app, ana, held.body.id, 'succeeded')
})

async function becomes(app: EntraApp, headers: Record<string, string>, run: string, wanted: string) {
  const { call } = nativeClient(app.url)
  const read = async () => (await call('GET', `/api/v1/runs/${run}`, undefined, headers)).body
  let now = await read()
  while (now.status !== wanted) {
    assert.ok(['queued', 'running', 'retrying'].includes(now.status), JSON.stringify(now))
    now = await read()
  }
  assert.equal(now.status, wanted)
}
