import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { ConfigDocument } from '#config/document.ts'
import type { RolloutView } from '#config/rollouts.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { capturedLog } from '../support/captured-log.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { nativeClient } from '../support/native-client.ts'
import { startUpstream } from '../support/upstream.ts'

const offline = {
  provider: 'offline' as const,
  contextWindow: 32_000,
  continuation: 'restart' as const,
  price: { input: 1, output: 2 },
  pace: 1e6,
}
const good = chatConfig({ primary: offline })

const variables = {
  PARLEY_ROLLOUT_FLOORS: '10:40',
  PARLEY_ROLLOUT_TRIALS: 'conversation',
  PARLEY_ROLLOUT_CLOSES_MS: '0',
  PARLEY_ROLLOUT_BAKE_MS: '0',
}

async function rolloutOf(app: TestApp): Promise<RolloutView> {
  return (await nativeClient(app.url).call('GET', '/api/v1/config/rollout')).body
}

async function push(app: TestApp, name: string, document: ConfigDocument): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ ...document, description: name })
  const response = await fetch(`${app.url}/api/v1/config/versions/${name}`, { method: 'PUT', headers, body })
  assert.equal(response.status, 201, await response.text())
}

/** Turns of new conversations, a few at a time, until it is so. */
async function talkUntil(app: TestApp, holds: (view: RolloutView) => boolean): Promise<number> {
  const client = nativeClient(app.url)
  const talk = async () => {
    const conversation = await client.conversation('plain')
    await client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message: 'Hello' })
  }
  for (let talks = 0; talks < 4000; talks += 20) {
    if (holds(await rolloutOf(app))) return talks
    await Promise.all(Array.from({ length: 20 }, talk))
  }
  return assert.fail((await rolloutOf(app)).verdict.sentence)
}

test('under load a good version is promoted, without anybody', async () => {
  await using app = await startApp({ config: good, variables })
  await push(app, 'v2', good)
  await talkUntil(app, ({ stable }) => stable.version === 'v2')
  const { finished } = await rolloutOf(app)
  assert.deepEqual([finished[0]?.outcome, finished[0]?.candidate.version], ['stable', 'v2'])
})

test('under load a version whose model is not to be had takes itself back, and nobody is served from it again', async () => {
  await using opened = new AsyncDisposableStack()
  const upstream = await startUpstream()
  opened.defer(() => upstream.close())
  upstream.plan = () => ({ status: 404 })
  const { log, lines } = capturedLog()
  const folder = await mkdtemp(path.join(tmpdir(), 'parley-rollout-app-'))
  opened.defer(() => rm(folder, { recursive: true }))
  const hosts = { PARLEY_EGRESS_HOSTS: upstream.host, PARLEY_ROLLOUT_DIR: folder }
  await using app = await startApp({ config: good, log, variables: { ...variables, ...hosts } })
  const gone = upstreamModel('gone', upstream.baseUrl)
  await push(app, 'v2', chatConfig({ primary: gone, backup: { ...offline, contextWindow: 64_000 } }))
  await talkUntil(app, ({ finished }) => finished[0]?.outcome === 'rolled-back')
  const { finished, stable } = await rolloutOf(app)
  assert.equal(stable.version, 'v1')
  assert.match(finished[0]?.reason ?? '', /failed by its configuration/)
  const alerts = () => lines.filter(({ msg }) => msg === 'An alert was raised')
  // It is raised beside what else follows, which nobody waits for.
  while (alerts().length === 0) await setTimeout(10)
  const [alert, ...others] = alerts()
  assert.deepEqual(
    [alert?.level, alert?.kind, alert?.candidate, alert?.because, others],
    [40, 'rollout.rolled-back', 'v2', finished[0]?.reason, []],
  )
  const asked = upstream.requests.length
  const client = nativeClient(app.url)
  for (let n = 0; n < 20; n++) {
    const conversation = await client.conversation('plain')
    const { body } = await client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message: 'Hello' })
    assert.equal(body.receipt.config.version, 'v1')
  }
  assert.equal(upstream.requests.length, asked)

  await writeFile(path.join(folder, 'state.json'), '{')
  while (alerts().length === 1) await setTimeout(10)
  const [, stray] = alerts()
  assert.deepEqual([stray?.level, stray?.kind, stray?.state], [40, 'rollout.strayed', 'unreadable'])
})
