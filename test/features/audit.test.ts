import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'
import { Client } from 'pg'
import { partitionOf } from '#identity/principal.ts'
import { runCli } from '../../src/cli/cli.ts'
import { until as comesToPass } from '../contracts/kv/under-test.ts'
import { startApp } from '../support/app.ts'
import { capturedLog } from '../support/captured-log.ts'
import { chatConfig } from '../support/chat-config.ts'
import { quietHost } from '../support/cli-run.ts'
import { type EntraApp, startEntraApp } from '../support/entra-app.ts'
import { nativeClient } from '../support/native-client.ts'
import { startSharedEngines } from '../support/shared-engines.ts'

interface Entry {
  seq: number
  kind: string
  actor: string | null
  subject: string | null
  details: Record<string, unknown>
  hash: string
}

async function until<Result>(look: () => Promise<Result | undefined>): Promise<Result> {
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** The log as a tenant's officer reads it, oldest first. */
async function logOf(app: EntraApp, tenant = app.issuer.home): Promise<Entry[]> {
  const officer = await app.as({ oid: 'officer', tenant, roles: ['Privacy.Officer'] })
  const { status, body } = await nativeClient(app.url).call('GET', '/api/v1/audit?limit=200', undefined, officer)
  assert.equal(status, 200, JSON.stringify(body))
  return body.items.toReversed()
}

const config = chatConfig({
  primary: { provider: 'offline', contextWindow: 32_000, continuation: 'restart', price: { input: 1, output: 1 } },
})
const calculate = config.actions?.calculate
assert.ok(calculate)
Object.assign(calculate, {
  access: 'write',
  approval: { when: {}, roles: ['Action.Approver'], expiresAfterMs: 900_000 },
})

test('who decides on runs, stops things and is refused is in the log, by pseudonym, and the log is verified by a command', async () => {
  await using opened = new AsyncDisposableStack()
  const engines = opened.use(await startSharedEngines())
  const { log: written, lines } = capturedLog()
  const app = opened.use(await startEntraApp({ config, log: written, variables: engines.variables }))
  const home = app.issuer.home.id
  const { call } = nativeClient(app.url)
  const ana = await app.as({ oid: 'ana' })
  const bob = await app.as({ oid: 'bob', roles: ['Action.Approver'] })
  const request = async () => {
    const { body } = await call('POST', '/api/v1/actions/calculate/runs', { arguments: { expression: '6*7' } }, ana)
    assert.equal(body.status, 'awaiting-approval', JSON.stringify(body))
    return body
  }
  const [approved, rejected] = [await request(), await request()]
  const hash = approved.argumentsHash
  assert.equal((await call('POST', `/api/v1/runs/${approved.id}/approve`, { hash }, bob)).status, 200)
  const reason = { reason: 'words that do not belong there' }
  assert.equal((await call('POST', `/api/v1/runs/${rejected.id}/reject`, reason, bob)).status, 200)
  assert.equal((await call('POST', `/api/v1/runs/${rejected.id}/reject`, reason, bob)).status, 409)
  const operator = await app.as({ oid: 'op', roles: ['Config.Operator', 'Admin'] })
  const stop = { reason: 'also words' }
  assert.equal((await call('PUT', '/api/v1/kill-switches/action:calculate', stop, operator)).status, 200)

  const log = await until(async () => {
    const found = await logOf(app)
    return found.some(({ kind }) => kind === 'kill-switch.set') ? found : undefined
  })
  const bobs = partitionOf({ tenant: home, id: 'bob' })
  const owner = partitionOf({ tenant: home, id: 'ana' })
  assert.deepEqual(
    log.slice(0, 2).map(({ seq, kind, actor, subject, details }) => ({ seq, kind, actor, subject, details })),
    [
      {
        ...{ seq: 1, kind: 'run.approved', actor: bobs, subject: approved.id },
        details: { action: 'calculate', edited: false, hash, owner },
      },
      {
        ...{ seq: 2, kind: 'run.rejected', actor: bobs, subject: rejected.id },
        details: { action: 'calculate', hash: rejected.argumentsHash, owner },
      },
    ],
  )
  assert.doesNotMatch(JSON.stringify(log), /words|"ana"|"bob"|6\*7/)

  for (const who of [ana, bob, operator, await app.as({ oid: 'fin', roles: ['Finance.Operator'] })]) {
    const isAdmin = who === operator
    assert.equal((await call('GET', '/api/v1/audit', undefined, who)).status, isAdmin ? 200 : 403)
    assert.equal((await call('GET', '/api/v1/audit/verify', undefined, who)).status, isAdmin ? 200 : 403)
  }
  assert.deepEqual(await logOf(app, app.issuer.guest), [])
  const past = await call('GET', '/api/v1/audit?limit=1&cursor=1e308', undefined, operator)
  assert.deepEqual(
    [past.status, past.body.items.length],
    [200, 1],
    'past every entry, and past what a database counts to',
  )

  // The database keeps what its owner does to it from nobody.
  const last = log.at(-1)
  const verify = async (...more: string[]) => {
    let said = ''
    const out = (text: string | Uint8Array) => {
      said += Buffer.from(text).toString()
    }
    const token = operator.authorization?.slice('Bearer '.length)
    const host = { ...quietHost(), url: app.url, token, out, err: out }
    return { code: await runCli(['audit', 'verify', ...more], host), said }
  }
  const alerts = () => lines.filter(({ msg }) => msg === 'An alert was raised')
  // What somebody claims to have seen is no reason to call anybody.
  assert.equal((await verify('--seen', `1:${'0'.repeat(64)}`)).code, 1)
  const intact = await verify('--seen', `${last?.seq}:${last?.hash}`)
  assert.equal(intact.code, 0, intact.said)
  assert.match(intact.said, /^The audit log is intact: \d+ entries, the last \d+:[0-9a-f]{64}\.\n$/)
  const owns = new Client({ connectionString: engines.variables.DATABASE_URL })
  await owns.connect()
  await owns.query('ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit NO FORCE ROW LEVEL SECURITY')
  await owns.query('DELETE FROM audit WHERE seq = $1', [last?.seq])
  // Nor does a claim hide that the log does not hold by itself.
  const claimed = await verify('--seen', `1:${'0'.repeat(64)}`)
  assert.match(claimed.said, /entry 1 /, claimed.said)
  await comesToPass(() => alerts().length > 1)
  await owns.query("UPDATE audit SET actor = 'somebody else' WHERE seq = 1")
  await owns.query('ALTER TABLE audit FORCE ROW LEVEL SECURITY')
  await owns.end()
  const broken = await verify()
  assert.deepEqual([broken.code, /entry 1 was changed/.test(broken.said)], [1, true], broken.said)
  await comesToPass(() => alerts().length > 2)
  assert.deepEqual(
    alerts().map(({ level, kind, scope, seq }) => [level, kind, scope ?? seq]),
    [
      [40, 'kill-switch.set', 'action:calculate'],
      [50, 'audit.broken', last?.seq],
      [50, 'audit.broken', 1],
    ],
  )
})

test('refusals are counted by the minute: an attacker makes few entries, whoever they are', async () => {
  await using opened = new AsyncDisposableStack()
  const engines = opened.use(await startSharedEngines())
  const app = opened.use(await startEntraApp({ config, variables: engines.variables }))
  const { call } = nativeClient(app.url)
  const guest = await app.as({ oid: 'eve', tenant: app.issuer.guest, roles: ['Config.Operator', 'Admin', 'Chat.User'] })
  const ana = await app.as({ oid: 'ana' })
  for (let times = 0; times < 40; times++) {
    assert.equal(
      (await call('GET', '/api/v1/specialists', undefined, { authorization: 'Bearer nonsense' })).status,
      401,
    )
    assert.equal((await call('GET', '/api/v1/config/versions', undefined, guest)).status, 403)
    assert.equal((await call('GET', `/api/v1/runs/run_${'0'.repeat(32)}`, undefined, ana)).status, 404)
  }
  await app.app.stop()
  const again = opened.use(await startEntraApp({ config, variables: engines.variables, issuer: app.issuer }))
  const log = await logOf(again)
  const home = app.issuer.home.id
  const found = log.map(({ kind, actor, details }) => ({ kind, actor, details }))
  assert.deepEqual(
    found.toSorted((a, b) => (a.kind < b.kind ? -1 : 1)),
    [
      {
        ...{ kind: 'access.refused', actor: partitionOf({ tenant: home, id: 'ana' }) },
        details: { code: 'run_not_found', count: 40 },
      },
      { kind: 'sign-in.failed', actor: null, details: { code: 'unauthenticated', count: 40 } },
      {
        ...{ kind: 'tenant.refused', actor: partitionOf({ tenant: app.issuer.guest.id, id: 'eve' }) },
        details: { code: 'forbidden', count: 40, tenant: app.issuer.guest.id },
      },
    ],
  )
})

test('a step of a rollout is in the log once, whoever takes it, also one that nobody lived to note', async () => {
  await using opened = new AsyncDisposableStack()
  const engines = opened.use(await startSharedEngines())
  const variables = { ...engines.variables, PARLEY_ROLLOUT_STARTS: 'by-hand' }
  const listed = async (url: string): Promise<Entry[]> =>
    (await nativeClient(url).call('GET', '/api/v1/audit?kind=rollout.moved')).body.items
  {
    await using app = await startApp({ config, variables })
    const { call } = nativeClient(app.url)
    const pushed = await call('PUT', '/api/v1/config/versions/v2', { ...config, description: 'another' })
    assert.equal(pushed.status, 201, JSON.stringify(pushed.body))
    const { body: before } = await call('GET', '/api/v1/config/rollout')
    const tag = { 'if-match': `"${before.etag}"` }
    const started = await call('POST', '/api/v1/config/rollout/start', { version: 'v2', waive: ['cost-high'] }, tag)
    assert.equal(started.status, 200, JSON.stringify(started.body))
    const [step] = await until(async () => {
      const found = await listed(app.url)
      return found.length > 0 ? found : undefined
    })
    assert.deepEqual(
      [step?.actor, step?.subject, step?.details.rollout, step?.details.waived],
      [partitionOf({ tenant: 'local', id: 'local' }), 'v2', started.body.finished[0].id, 'cost-high'],
    )
  }
  // As if the process had died before it noted the step.
  const owns = new Client({ connectionString: engines.variables.DATABASE_URL })
  await owns.connect()
  for (const table of ['audit', 'audit_heads']) {
    await owns.query(`ALTER TABLE ${table} DISABLE TRIGGER USER; ALTER TABLE ${table} NO FORCE ROW LEVEL SECURITY`)
    await owns.query(`DELETE FROM ${table}`)
    await owns.query(`ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`)
  }
  await owns.end()
  for (let starts = 0; starts < 2; starts++) {
    await using app = await startApp({ config, variables })
    const found = await until(async () => {
      const items = await listed(app.url)
      return items.length > 0 ? items : undefined
    })
    assert.deepEqual(
      found.map(({ seq, subject }) => [seq, subject]),
      [[1, 'v2']],
    )
  }
  // What the system does by itself has no actor; and epochs that come again, in a container that begins anew, hide nothing.
  const { PARLEY_ROLLOUT_DIR: container } = engines.variables
  assert.ok(container)
  await rm(container, { recursive: true })
  await using app = await startApp({ config, variables: engines.variables })
  const pushed = await nativeClient(app.url).call('PUT', '/api/v1/config/versions/v3', { ...config, description: 'v3' })
  assert.equal(pushed.status, 201, JSON.stringify(pushed.body))
  const begun = await until(async () => (await listed(app.url)).find(({ subject }) => subject === 'v3'))
  assert.deepEqual([begun.actor, typeof begun.details.rollout], [null, 'string'])
  const epochs = (await listed(app.url)).map(({ details }) => details.epoch)
  assert.deepEqual(epochs, [2, 2])
})

test('who pushed a version, and who agreed to it, is in the log once, with its hash and what it guards less', async () => {
  await using opened = new AsyncDisposableStack()
  const engines = opened.use(await startSharedEngines())
  const variables = { ...engines.variables, PARLEY_ROLLOUT_STARTS: 'by-hand', PARLEY_SECOND_OPERATOR: 'true' }
  const app = opened.use(await startEntraApp({ config, variables }))
  const { call } = nativeClient(app.url)
  const olga = await app.as({ oid: 'olga', roles: ['Config.Operator'] })
  const paul = await app.as({ oid: 'paul', roles: ['Config.Operator'] })
  const weaker = structuredClone({ ...config, description: 'weaker' })
  const { calculate: unguarded } = weaker.actions ?? {}
  assert.ok(unguarded)
  delete unguarded.approval
  for (let times = 0; times < 2; times++) {
    assert.ok([200, 201].includes((await call('PUT', '/api/v1/config/versions/v2', weaker, olga)).status))
  }
  const approved = await call('POST', '/api/v1/config/versions/v2/approve', undefined, paul)
  assert.equal(approved.status, 200, JSON.stringify(approved.body))
  const found = await until(async () => {
    const entries = (await logOf(app)).filter(({ kind }) => kind.startsWith('version.'))
    return entries.length > 1 ? entries : undefined
  })
  const tenant = app.issuer.home.id
  const { hash, size } = approved.body
  const details = { hash, size, weakenings: 1, weakens: 'approval actions.calculate.approval' }
  assert.deepEqual(
    found.map(({ kind, actor, subject, details: noted }) => [kind, actor, subject, noted]),
    [
      ['version.pushed', partitionOf({ tenant, id: 'olga' }), 'v2', details],
      ['version.approved', partitionOf({ tenant, id: 'paul' }), 'v2', details],
    ],
  )
})
