import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { RolloutView } from '#config/rollouts.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { nativeClient } from '../support/native-client.ts'
import { startSharedEngines } from '../support/shared-engines.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

const AT_ONCE = 15

const opened = new AsyncDisposableStack()
const apps: TestApp[] = []
let upstream: Upstream
let folder: string

before(async () => {
  const engines = opened.use(await startSharedEngines())
  upstream = await startUpstream(({ model }) => (model === 'choosy' ? { status: 400 } : { tokens: 3 }))
  opened.defer(() => upstream.close())
  folder = await mkdtemp(path.join(tmpdir(), 'parley-versions-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  await writeFile(path.join(folder, 'v1.json'), textOf('v1', 'steady'))
  for (let n = 0; n < 3; n++) {
    const variables = {
      ...engines.variables,
      PARLEY_CONFIG_DIR: folder,
      PARLEY_EGRESS_HOSTS: upstream.host,
      PARLEY_ROLLOUT_FLOORS: '20:40',
      PARLEY_ROLLOUT_TRIALS: 'conversation',
      PARLEY_ROLLOUT_CLOSES_MS: '0',
      PARLEY_ROLLOUT_BAKE_MS: '0',
    }
    apps.push(opened.use(await startApp({ variables })))
  }
})

after(() => opened.disposeAsync())

/** Three replicas and the provider share a process, which may stand still for longer than a provider is given. */
const patient = { connectTimeoutMs: 120_000, firstTokenTimeoutMs: 120_000, stallTimeoutMs: 120_000 }

const textOf = (name: string, model: string) =>
  JSON.stringify({ ...chatConfig({ primary: upstreamModel(model, upstream.baseUrl) }, patient), description: name })

/** To one of them; the others hear of it. */
async function push(name: string, model: string): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const init = { method: 'PUT', headers, body: textOf(name, model) }
  const { status } = await fetch(`${apps[0]?.url}/api/v1/config/versions/${name}`, init)
  assert.equal(status, 201)
  while ((await views()).some(({ live }) => live?.candidate.version !== name)) await setTimeout(50)
}

const views = () =>
  Promise.all(
    apps.map(
      async ({ url }): Promise<RolloutView> => (await nativeClient(url).call('GET', '/api/v1/config/rollout')).body,
    ),
  )

interface Talk {
  version: string | null
  status: number
  answeredBy: string | undefined
}

/** A new conversation on each replica in turn; the version that each was assigned, and whether and by what its turn was answered. */
async function talk(): Promise<Talk[]> {
  return Promise.all(
    Array.from({ length: AT_ONCE }, async (_, at) => {
      const { call } = nativeClient(apps[at % apps.length]?.url ?? '')
      const begun = await call('POST', '/api/v1/conversations', { specialist: 'plain' })
      const turn = await call('POST', `/api/v1/conversations/${begun.body.id}/turns`, { message: 'Hello' })
      const answeredBy: string | undefined = turn.body.receipt?.config.version
      return { version: begun.headers.get('x-parley-config'), status: turn.status, answeredBy }
    }),
  )
}

async function talkUntil(holds: (view: RolloutView) => boolean) {
  const all: Awaited<ReturnType<typeof talk>> = []
  for (let rounds = 0; rounds < 400; rounds++) {
    const now = await views()
    if (now.every(holds)) return all
    all.push(...(await talk()))
  }
  return assert.fail(JSON.stringify(await views()))
}

test('a version that validates, and whose provider answers 400, is gone from every replica, and nobody gets it after that', async () => {
  await push('v2', 'choosy')
  const before = await talkUntil(({ finished }) => finished[0]?.candidate.version === 'v2')
  for (const { finished, stable } of await views()) {
    assert.deepEqual([finished[0]?.outcome, stable.version], ['rolled-back', 'v1'])
    assert.match(finished[0]?.reason ?? '', /turns in a row of v2 failed|conversations with failed turns are of v2/)
  }
  // What began with v2 and went on just after the rollback was answered by v1.
  const odd = before.filter(({ version, status, answeredBy }) =>
    status < 400 ? answeredBy !== 'v1' : version !== 'v2',
  )
  assert.deepEqual(odd, [])
  assert.ok(before.some(({ status }) => status >= 400))
  const asked = upstream.requests.filter(({ body }) => body.model === 'choosy').length
  const since = (await Promise.all([talk(), talk(), talk()])).flat()
  assert.ok(since.every(({ version, status }) => version === 'v1' && status === 200))
  assert.equal(upstream.requests.filter(({ body }) => body.model === 'choosy').length, asked)
})

test('a good one is promoted on every replica, and no turn fails on its way', async () => {
  await push('v3', 'steadier')
  const talks = await talkUntil(({ stable }) => stable.version === 'v3')
  assert.ok(talks.every(({ status }) => status === 200))
  assert.ok(['v1', 'v3'].every((version) => talks.some((one) => one.version === version)))
  assert.ok((await talk()).every(({ version }) => version === 'v3'))
})
