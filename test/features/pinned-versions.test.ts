import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import type { ConfigDocument } from '#config/document.ts'
import { startApp } from '../support/app.ts'
import { chatConfig } from '../support/chat-config.ts'
import { nativeClient } from '../support/native-client.ts'

const offline = {
  provider: 'offline' as const,
  contextWindow: 32_000,
  continuation: 'restart' as const,
  price: { input: 0, output: 0 },
  pace: 100_000,
}

let folder: string
let conversation: string

/** The app over these versions, on the same data as before. */
async function startWith(versions: Record<string, ConfigDocument>) {
  const configDir = await mkdtemp(path.join(folder, 'config-'))
  for (const [name, document] of Object.entries(versions)) {
    await writeFile(path.join(configDir, `${name}.json`), JSON.stringify(document))
  }
  const app = await startApp({ dataDir: path.join(folder, 'data'), variables: { PARLEY_CONFIG_DIR: configDir } })
  return { client: nativeClient(app.url), [Symbol.asyncDispose]: () => app.stop() }
}

function version(...specialists: ('plain' | 'helper')[]): ConfigDocument {
  const config = chatConfig({ only: offline })
  const kept = Object.entries(config.specialists).filter(([name]) => specialists.some((one) => one === name))
  return { ...config, specialists: Object.fromEntries(kept) }
}

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'parley-pinned-'))
})

after(() => rm(folder, { recursive: true, force: true }))

beforeEach(async () => {
  await rm(path.join(folder, 'data'), { recursive: true, force: true })
  await using app = await startWith({ v1: version('plain', 'helper') })
  conversation = await app.client.conversation('plain')
  const { body } = await app.client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message: 'hello' })
  assert.equal(body.receipt.config.version, 'v1')
})

test('a conversation stays with the version it began with, though a newer one has dropped its specialist', async () => {
  await using app = await startWith({ v1: version('plain', 'helper'), v2: version('helper') })
  const { body } = await app.client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message: 'go on' })
  assert.deepEqual([body.status, body.receipt.config.version], ['completed', 'v1'])

  const { items } = (await app.client.call('GET', '/api/v1/specialists')).body
  assert.deepEqual(
    items.map(({ id }: { id: string }) => id),
    ['helper'],
  )
  const created = await app.client.call('POST', '/api/v1/conversations', { specialist: 'plain' })
  assert.deepEqual([created.status, created.body.error.code], [404, 'specialist_not_found'])
  const asked = await app.client.call('GET', '/api/v1/specialists/plain/stream?message=hello')
  assert.deepEqual([asked.status, asked.body.error.code], [404, 'specialist_not_found'])
})

/** As a replica starts that has never had what is gone. */
const forget = () => rm(path.join(folder, 'data', 'versions'), { recursive: true })

test('one whose version has vanished goes on with what is kept of it', async () => {
  await using app = await startWith({ v2: version('helper') })
  const { body } = await app.client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message: 'go on' })
  assert.deepEqual([body.status, body.receipt.config.version], ['completed', 'v1'])
})

test('where nothing is kept of it, with the version that is served', async () => {
  await forget()
  await using app = await startWith({ v2: version('plain') })
  const { body } = await app.client.call('POST', `/api/v1/conversations/${conversation}/turns`, { message: 'go on' })
  assert.deepEqual([body.status, body.config, body.receipt.config.version], ['completed', 'v2', 'v2'])
})

test('one whose version and specialist have vanished can be read, and not gone on with', async () => {
  await forget()
  await using app = await startWith({ v2: version('helper') })
  const turns = `/api/v1/conversations/${conversation}/turns`
  const { status, body } = await app.client.call('POST', turns, { message: 'go on' })
  assert.deepEqual([status, body.error.code], [404, 'specialist_not_found'])
  const shown = await app.client.call('GET', `/api/v1/conversations/${conversation}`)
  assert.deepEqual([shown.status, shown.body.liveTurn, shown.body.config], [200, null, 'v1'])
  const { items } = (await app.client.call('GET', `/api/v1/conversations/${conversation}/messages`)).body
  assert.equal(items[0].content, 'hello')
})
