import assert from 'node:assert/strict'
import { rename, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ConfigDocument } from '#config/document.ts'
import type { RolloutView } from '#config/rollouts.ts'
import type { ConfigVersionEntry } from '#transport/schema-config.ts'
import { runCli } from '../../src/cli/cli.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { chatConfig } from '../support/chat-config.ts'
import { quietHost } from '../support/cli-run.ts'
import { nativeClient } from '../support/native-client.ts'
import { sharedPostgres } from '../support/postgres.ts'
import { sseEvents } from '../support/sse.ts'

const postgres = await sharedPostgres()
after(() => postgres[Symbol.asyncDispose]())

/** Where an operator decides, the audit log needs one, and PGlite takes seconds to open. */
async function withDatabase(): Promise<Record<string, string>> {
  return { DATABASE_URL: await postgres.createDatabase() }
}

const versions = '/api/v1/config/versions'
const rollout = '/api/v1/config/rollout'
const price = { input: 1, output: 2 }
const offline = {
  provider: 'offline' as const,
  contextWindow: 32_000,
  continuation: 'restart' as const,
  price,
  pace: 1e5,
}
const first = chatConfig({ primary: offline })
const saying = (description: string, more: Partial<ConfigDocument> = {}) =>
  JSON.stringify({ ...first, description, ...more })

function versionsOf({ env }: TestApp): string {
  assert.equal(env.blob.engine, 'folder')
  return env.blob.versions
}

function operator(app: TestApp) {
  const { call, conversation } = nativeClient(app.url)
  const push = async (name: string, text: string, query = '') => {
    const headers = { 'content-type': 'application/yaml' }
    const response = await fetch(`${app.url}${versions}/${name}${query}`, { method: 'PUT', headers, body: text })
    return { status: response.status, body: JSON.parse(await response.text()) }
  }
  const view = async (): Promise<RolloutView> => (await call('GET', rollout)).body
  return {
    call,
    conversation,
    push,
    view,
    list: async (): Promise<ConfigVersionEntry[]> => (await call('GET', versions)).body.items,
    async decide(what: string, body: unknown = {}) {
      const { etag } = await view()
      return call('POST', `${rollout}/${what}`, body, { 'if-match': `"${etag}"` })
    },
    /** The rollout, once it is as it is waited for. */
    async until(isSo: (view: RolloutView) => boolean): Promise<RolloutView> {
      for (; ; await sleep(20)) {
        const now = await view()
        if (isSo(now)) return now
      }
    },
    configOf: async (id: string): Promise<string> => (await call('GET', `/api/v1/conversations/${id}`)).body.config,
    async turnConfig(conversation: string): Promise<string | null> {
      const { headers } = await call('POST', `/api/v1/conversations/${conversation}/turns`, { message: 'Hello' })
      return headers.get('x-parley-config')
    },
  }
}

test('a version that is pushed appears, is stable at once where it has no steps, and serves what begins then', async () => {
  await using app = await startApp({ config: first })
  const { call, conversation, configOf, list, push, until, turnConfig } = operator(app)
  const before = await conversation('plain')
  assert.equal(await configOf(before), 'v1')
  const { status, body } = await push('v2', saying('second'))
  assert.equal(status, 201)
  assert.deepEqual(body.uploadedBy, { id: 'local', name: 'You' })
  await until(({ stable }) => stable.version === 'v2')
  assert.deepEqual(
    (await list()).map(({ name, serves, description }) => [name, serves?.percent, description]),
    [
      ['v2', 100, 'second'],
      ['v1', undefined, 'for a test'],
    ],
  )
  assert.equal(await configOf(await conversation('plain')), 'v2')
  assert.equal(await turnConfig(before), 'v2', 'conversations move to stable at their next turn')
  const again = await push('v2', saying('second'))
  assert.equal(again.status, 200)
  const other = await push('v2', saying('another second'))
  assert.equal(other.body.error.code, 'config_exists')
  const { body: diff } = await call('GET', `${versions}/v1/diff/v2`)
  assert.deepEqual(
    diff.changes.map(({ kind, section }: Record<string, string>) => [kind, section]),
    [['changed', 'description']],
  )
})

test('all faults of a bad version are named, nothing of it is kept, and put right it is taken', async () => {
  await using app = await startApp({ config: first })
  const { call, list, push, view } = operator(app)
  const bad =
    'description: bad\nmodels: {}\nroutes:\n  default: { models: [ghost] }\nspecialists:\n  a: { title: A, route: nowhere }\n'
  for (const query of ['', '?dryRun=true']) {
    const { status, body } = await push('v2', bad, query)
    assert.equal(status, 422)
    assert.equal(body.error.code, 'config_invalid')
    const places = body.error.faults.map(({ path, line }: Record<string, unknown>) => `${path}:${line}`)
    assert.ok(places.includes('routes.default.models.0:4'), places.join(' '))
    assert.ok(places.includes('specialists.a.route:6'), places.join(' '))
    assert.ok(places.length >= 3, places.join(' '))
  }
  assert.deepEqual(
    (await list()).map(({ name }) => name),
    ['v1'],
  )
  assert.equal((await call('GET', `${versions}/v2`)).status, 404)
  for (const name of ['..%2fv2', 'a b', '%00', '.v2', 'x'.repeat(65)]) {
    const { body } = await push(name, saying('x'))
    assert.equal(body.error.code, 'invalid_request', name)
  }
  assert.equal((await push('v2', saying('second'))).status, 201)
  assert.ok(['v1', 'v2'].includes((await view()).stable.version))
})

test('a version that any tool puts there is found, and a bad one is listed with its faults', async () => {
  await using app = await startApp({ config: first })
  const { list, until } = operator(app)
  const put = async (name: string, text: string) => {
    await writeFile(path.join(versionsOf(app), '.draft'), text)
    await rename(path.join(versionsOf(app), '.draft'), path.join(versionsOf(app), name))
  }
  await put('v2.json', saying('second'))
  await put('v3.yaml', 'description: 7\n')
  await until(({ stable }) => stable.version === 'v2')
  for (;;) {
    const refused = (await list()).find(({ name }) => name === 'v3')
    if (refused) {
      assert.equal(refused.status, 'refused')
      assert.ok(refused.faults.length > 0)
      break
    }
    await sleep(50)
  }
})

test('a rollback by hand takes the conversations along, and says who and why', async () => {
  await using app = await startApp({ config: first, variables: await withDatabase() })
  const { call, conversation, decide, push, turnConfig, until } = operator(app)
  await push('v2', saying('second'))
  await until(({ stable }) => stable.version === 'v2')
  const id = await conversation('plain')
  assert.equal(await turnConfig(id), 'v2')
  const { status, body } = await decide('rollback', { reason: 'It says odd things.' })
  assert.equal(status, 200, JSON.stringify(body))
  assert.equal(body.stable.version, 'v1')
  assert.equal(await turnConfig(id), 'v1')
  const { body: history } = await call('GET', `${rollout}/history?limit=1`)
  const { by, reason, to, candidate } = history.items[0]
  assert.deepEqual([by, reason, to, candidate], ['You', 'It says odd things.', 'rolled-back', 'v2'])
})

test('with floors a version is a canary first: paused, resumed, promoted, each on what was seen', async () => {
  await using app = await startApp({
    config: first,
    variables: { ...(await withDatabase()), PARLEY_ROLLOUT_FLOORS: '50:5', PARLEY_ROLLOUT_BAKE_MS: '3600000' },
  })
  const { call, conversation, configOf, decide, list, push, until, view } = operator(app)
  await push('v2', saying('second'))
  const live = await until(({ live }) => live?.status === 'canary')
  assert.ok(!('salt' in (live.live ?? {})), 'who knows the salt can choose his arm')
  assert.deepEqual(
    (await list()).map(({ serves }) => serves),
    [
      { as: 'canary', percent: 50 },
      { as: 'stable', percent: 50 },
    ],
  )
  const served = new Set<string>()
  for (let tries = 0; served.size < 2 && tries < 200; tries++) served.add(await configOf(await conversation('plain')))
  assert.deepEqual([...served].sort(), ['v1', 'v2'])

  const unseen = await call('POST', `${rollout}/pause`, {})
  assert.equal(unseen.status, 428)
  const paused = await decide('pause', { reason: 'Wait.' })
  assert.equal(paused.body.live.status, 'paused')
  const stale = await call('POST', `${rollout}/resume`, {}, { 'if-match': `"${live.etag}"` })
  assert.equal(stale.status, 412)
  assert.equal(stale.body.rollout.live.status, 'paused')
  assert.equal(stale.headers.get('etag'), `"${(await view()).etag}"`)
  assert.equal((await decide('resume')).body.live.status, 'canary')
  assert.equal((await decide('promote')).body.live.status, 'baking')
  assert.equal((await decide('promote')).body.stable.version, 'v2')
  assert.equal((await decide('promote')).body.error.code, 'rollout_state')
})

test('what guards less waits for a second operator, who is not the one who pushed it', async () => {
  const { calculate } = first.actions ?? {}
  assert.ok(calculate)
  const guarded = { ...first, actions: { ...first.actions, calculate: { ...calculate, approval: {} } } }
  await using app = await startApp({ config: guarded, variables: { PARLEY_SECOND_OPERATOR: 'true' } })
  const { call, decide, push, until } = operator(app)
  const check = await push('v2', saying('unguarded'), '?dryRun=true')
  assert.deepEqual(
    check.body.weakenings.map(({ kind }: { kind: string }) => kind),
    ['approval'],
  )
  assert.equal((await push('v2', saying('unguarded'))).status, 201)
  const { stable, waiting } = await until((view) => view.waiting.length > 0)
  assert.deepEqual([stable.version, waiting[0]?.version], ['v1', 'v2'])
  assert.match(waiting[0]?.reason ?? '', /second operator/)
  assert.equal((await call('POST', `${versions}/v2/approve`)).status, 403)
  // Else a header would be the way around.
  const picking = (version: string) =>
    call('POST', '/api/v1/conversations', { specialist: 'plain' }, { 'x-parley-config': version })
  assert.deepEqual([(await picking('v2')).status, (await picking('v1')).status], [403, 201])
  const started = await decide('start', { version: 'v2' })
  assert.deepEqual([started.status, started.body.error.code], [409, 'second_operator_needed'])
})

test('who follows the rollout hears of its changes', async () => {
  await using app = await startApp({ config: first })
  const { push } = operator(app)
  const leaving = new AbortController()
  const response = await fetch(`${app.url}${rollout}/stream`, { signal: leaving.signal })
  const events = sseEvents(response.body)
  const next = async () => (await events.next()).value?.data as RolloutView
  assert.equal((await next()).stable.version, 'v1')
  await push('v2', saying('second'))
  while ((await next()).stable.version !== 'v2') assert.ok(!leaving.signal.aborted)
  leaving.abort()
})

test('the command line does the same against the whole app', async () => {
  await using app = await startApp({ config: first, variables: await withDatabase() })
  const run = async (...args: string[]) => {
    const said = { out: '', err: '' }
    const code = await runCli(['config', ...args], {
      url: app.url,
      token: undefined,
      out: (text) => {
        said.out += Buffer.from(text).toString()
      },
      err: (text) => {
        said.err += text
      },
      ...quietHost(),
    })
    return { code, ...said }
  }
  const file = path.join(versionsOf(app), '.v2.yaml')
  await writeFile(file, saying('second').replace('"plain"', '"plain '))
  const bad = await run('push', file, '--name', 'v2')
  assert.equal(bad.code, 1)
  assert.match(bad.err, new RegExp(`^${file.replaceAll('.', '\\.')}:1:\\d+ `))
  await writeFile(file, saying('second'))
  assert.match((await run('push', file, '--name', 'v2', '--dry-run')).out, /^v2 is sound; it was not pushed\./)
  assert.match((await run('push', file, '--name', 'v2')).out, /^v2 is pushed/)
  await operator(app).until(({ stable }) => stable.version === 'v2')
  assert.match((await run('list')).out, /^v2 {7}sound {3}stable, 100 % {2}.* You /m)
  assert.equal((await run('show', 'v2')).out, saying('second'))
  assert.match((await run('diff', 'v1', 'v2')).out, /^~ description/)
  assert.match((await run('rollback', '--reason', 'odd')).out, /^v1 stable\./)
  assert.match((await run('status')).out, /^stable {3}v1 /)
  assert.match((await run('history')).out, /v2 +stable +rolled-back +You +odd/)
  assert.match((await run('start', 'v2')).out, /^v2 stable\./)
  assert.match((await run('start', 'v2')).err, /v2 is stable already/)
})

test('the webhook of Event Grid has the container looked at at once', async () => {
  await using app = await startApp({ config: first, variables: { PARLEY_EVENT_GRID_KEY: 'a key' } })
  const { until } = operator(app)
  await writeFile(path.join(versionsOf(app), 'v2.json'), saying('second'))
  const body = JSON.stringify([{ eventType: 'Microsoft.Storage.BlobCreated' }])
  const init = { method: 'POST', headers: { 'content-type': 'application/json', 'x-parley-key': 'a key' }, body }
  assert.equal((await fetch(`${app.url}/api/v1/config/events`, init)).status, 202)
  assert.equal((await until(({ stable }) => stable.version === 'v2')).stable.version, 'v2')
})
