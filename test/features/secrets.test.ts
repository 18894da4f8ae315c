import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { createApp } from '../../src/app.ts'
import { rotationFault } from '../../src/env/rotation.ts'
import { readEnv, readSecretsEnv } from '../../src/env.ts'
import { type Clock, systemClock } from '../../src/platform/clock.ts'
import { openSecrets } from '../../src/platform/secrets/open.ts'
import { capturedLog } from '../support/captured-log.ts'
import { chatConfig } from '../support/chat-config.ts'
import { type KeyVault, startKeyVault } from '../support/key-vault.ts'
import { nativeClient } from '../support/native-client.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

/** Secrets of a vault, in the whole app: rotated while it runs, and shown by nothing. */

const MASTER = `m:${Buffer.alloc(32, 7).toString('base64')}`
let folder: string
let upstream: Upstream
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'parley-secrets-'))
  upstream = await startUpstream()
  const price = { input: 2, output: 8 }
  const openai = { provider: 'openai', model: 'm', contextWindow: 32_000, continuation: 'restart', price } as const
  await writeFile(path.join(folder, 'v1.json'), JSON.stringify(chatConfig({ openai })))
})
after(async () => {
  await upstream.close()
  await rm(folder, { recursive: true, force: true })
})

/** What the machine is busy with may hold up the end. */
const unhurried = { PARLEY_CLOSE_MS: '60000' }

/** A minute is over in a moment, so that a doubt is looked into. */
const hasty: Clock = { ...systemClock, monotonic: () => systemClock.monotonic() * 10_000 }

async function start(vault: KeyVault, more: Record<string, string> = {}) {
  const variables = {
    ...{ PORT: '0', PARLEY_DATA_DIR: await mkdtemp(path.join(folder, 'data-')), PARLEY_CONFIG_DIR: folder },
    ...{ KEY_VAULT_URL: vault.url, OPENAI_BASE_URL: upstream.baseUrl, ...unhurried, ...more },
  }
  process.env.HTTPS_PROXY = vault.proxy
  const { signal } = new AbortController()
  const options = { tokens: vault.tokens, clock: hasty, unfit: rotationFault, signal }
  const secrets = await openSecrets({ ...options, ...readSecretsEnv(variables) }).finally(() => {
    delete process.env.HTTPS_PROXY
  })
  const { log, lines } = capturedLog()
  const app = await createApp(readEnv(secrets.variables), log, { secrets })
  const url = await app.listen()
  return { app, url, secrets, lines, [Symbol.asyncDispose]: () => app.stop() }
}

const key = (seen: { headers: Record<string, unknown> } | undefined) => seen?.headers.authorization

test('a key that the provider does not take any more is replaced by the next one, without a restart', async () => {
  await using vault = await startKeyVault()
  vault.put('openai-api-key', 'marked-1')
  vault.put('parley-master-keys', MASTER)
  await using world = await start(vault)
  const client = nativeClient(world.url)
  const say = async () => {
    const { status, body } = await client.call('POST', '/v1/chat/completions', {
      model: 'default',
      messages: [{ role: 'user', content: 'hello' }],
    })
    return { status, body }
  }
  assert.equal((await say()).status, 200)
  assert.equal(key(upstream.requests.at(-1)), 'Bearer marked-1')

  const asked = () => vault.asked.filter((line) => line.includes('openai-api-key')).length
  assert.equal(asked(), 1)
  vault.put('openai-api-key', 'marked-2')
  upstream.plan = [{ status: 401 }]
  const refused = await say()
  assert.equal(refused.status, 502)
  while (world.secrets.variables.OPENAI_API_KEY !== 'marked-2') await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal((await say()).status, 200)
  assert.equal(key(upstream.requests.at(-1)), 'Bearer marked-2')
  assert.equal(asked(), 2)

  const metrics = await fetch(`${world.url}/metrics`).then((response) => response.text())
  assert.match(metrics, /dependency="secrets"[^\n]* 1\n/)
  const shown = JSON.stringify([refused.body, world.lines, metrics, world.app.uses])
  assert.doesNotMatch(shown, /marked|BwcHBwcH/)
  assert.ok(world.lines.some(({ msg }) => msg === 'Secrets were rotated'))
  const host = new URL(vault.url).host
  assert.deepEqual(world.app.uses.at(-1), { need: 'secrets', engine: `the Key Vault ${host}` })
})

test('while the vault is away the last values hold, and the metrics say so', async () => {
  await using vault = await startKeyVault()
  vault.put('openai-api-key', 'marked')
  vault.put('parley-event-grid-key', 'marked-1')
  await using world = await start(vault)
  const push = (given: string) =>
    fetch(`${world.url}/api/v1/config/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'aeg-sas-key': given },
      body: '[]',
    }).then(({ status }) => status)
  assert.equal(await push('marked-1'), 202)
  vault.fault = { kind: 'cut' }
  world.secrets.doubt()
  while (world.secrets.reachable) await new Promise((resolve) => setTimeout(resolve, 10))
  assert.equal(await push('marked-1'), 202)
  const metrics = await fetch(`${world.url}/metrics`).then((response) => response.text())
  assert.match(metrics, /dependency="secrets"[^\n]* 0\n/)
  assert.equal((await fetch(`${world.url}/health/ready`)).status, 200)

  vault.fault = undefined
  vault.put('parley-event-grid-key', 'marked-2')
  world.secrets.doubt()
  while (world.secrets.variables.PARLEY_EVENT_GRID_KEY !== 'marked-2') {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.equal(world.secrets.reachable, true)
  assert.deepEqual([await push('marked-1'), await push('marked-2')], [401, 202])
  assert.doesNotMatch(JSON.stringify(world.lines), /marked/)
})

test('without a vault nothing is said of one', async () => {
  const { log } = capturedLog()
  const variables = {
    PORT: '0',
    PARLEY_DATA_DIR: path.join(folder, 'bare'),
    PARLEY_CONFIG_DIR: folder,
    OPENAI_API_KEY: 'k',
    ...unhurried,
  }
  const options = { tokens: { token: () => assert.fail('a token') }, clock: systemClock, unfit: rotationFault }
  const secrets = await openSecrets({ ...options, ...readSecretsEnv(variables), signal: new AbortController().signal })
  assert.equal(secrets.engine, 'environment')
  const app = await createApp(readEnv(secrets.variables), log, { secrets })
  const url = await app.listen()
  const metrics = await fetch(`${url}/metrics`).then((response) => response.text())
  assert.doesNotMatch(metrics, /dependency="secrets"/)
  assert.ok(!app.uses.some(({ need }) => need === 'secrets'))
  await app.stop()
})
