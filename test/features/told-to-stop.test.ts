import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { TEST_MASTER_KEYS } from '../support/app.ts'
import { chatConfig, upstreamModel } from '../support/chat-config.ts'
import { nativeClient } from '../support/native-client.ts'
import { runToExit, startReplica } from '../support/replica.ts'
import { startUpstream, type Upstream } from '../support/upstream.ts'

/** A process ends when it is told to, whatever it is about and whoever says nothing to it. */

let folder: string
let upstream: Upstream
let silent: Server
let variables: Record<string, string>
const sockets = new Set<Socket>()

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'parley-stop-'))
  upstream = await startUpstream()
  const config = chatConfig({ only: upstreamModel('only', upstream.baseUrl) })
  await writeFile(path.join(folder, 'v1.json'), JSON.stringify(config))
  silent = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.resume()
  }).listen(0, '127.0.0.1')
  await once(silent, 'listening')
})

beforeEach(async () => {
  variables = {
    PARLEY_CONFIG_DIR: folder,
    PARLEY_DATA_DIR: await mkdtemp(path.join(folder, 'data-')),
    PARLEY_EGRESS_HOSTS: upstream.host,
  }
})

after(async () => {
  silent.close()
  for (const socket of sockets) socket.destroy()
  await upstream.close()
  await rm(folder, { recursive: true, force: true })
})

const silentHost = () => `127.0.0.1:${(silent.address() as AddressInfo).port}`

/** Runs this in the process before anything else, and in none of its threads. */
function preload(code: string): string {
  const module = `import { isMainThread } from 'node:worker_threads'; if (isMainThread) { ${code} }`
  return `--import data:text/javascript,${encodeURIComponent(module)}`
}

const messagesOf = (lines: readonly string[]) =>
  lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line).msg)

test('SIGTERM in the instant in which it says that it is ready', async () => {
  const stall = `
    const { write } = process.stdout
    process.stdout.write = (text, ...more) => {
      const written = write.call(process.stdout, text, ...more)
      if (String(text).startsWith('Parley is ready')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
      return written
    }`
  await using replica = await startReplica({ ...variables, NODE_OPTIONS: preload(stall) })
  assert.equal(await replica.terminate(), 0)
})

test('SIGTERM to npm alone, which has started it', async () => {
  await using replica = await startReplica({ ...variables, HOME: folder }, ['npm', 'start'])
  assert.equal(await replica.terminate(), 0)
  await assert.rejects(fetch(`${replica.url}/health/live`))
})

const waiting: Record<string, () => Record<string, string>> = {
  'a vault': () => ({ KEY_VAULT_URL: 'https://silent.vault.azure.net', HTTPS_PROXY: `http://${silentHost()}` }),
  'Redis and PostgreSQL': () => ({
    REDIS_URL: `redis://${silentHost()}`,
    DATABASE_URL: `postgres://a:b@${silentHost()}/c`,
    PARLEY_MASTER_KEYS: TEST_MASTER_KEYS,
    PARLEY_ROLLOUT_DIR: path.join(folder, 'rollout'),
  }),
}

for (const [whom, given] of Object.entries(waiting)) {
  test(`SIGTERM while a start waits for ${whom}, without an answer`, async () => {
    const { code, stdout } = await runToExit({ ...variables, ...given() }, (child) => {
      silent.once('connection', () => child.kill('SIGTERM'))
    })
    assert.equal(code, 1)
    assert.doesNotMatch(stdout, /Parley is ready/)
  })
}

test('a second signal ends what the first has begun to stop', async () => {
  await using replica = await startReplica({ ...variables, PARLEY_DRAIN_MS: '600000' })
  const client = nativeClient(replica.url)
  const { events } = await client.stream(await client.conversation('plain'), 'mock: tokens=10000 pace=100')
  await events.next()
  const exit = once(replica.process, 'close')
  const again = setInterval(() => replica.process.kill('SIGTERM'), 100)
  assert.deepEqual(await exit, [1, null])
  clearInterval(again)
  assert.ok(messagesOf(replica.printed).includes('The process is ended before it has stopped'))
  await assert.rejects(async () => {
    for await (const _ of events);
  })
})

test('a part that does not close in time keeps the process no longer', async () => {
  await using replica = await startReplica({
    ...variables,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://${silentHost()}`,
    PARLEY_DRAIN_MS: '0',
    PARLEY_CLOSE_MS: '1000',
  })
  assert.equal(await replica.terminate(), 1)
  const told = ['A part of the process could not be closed', 'The process is ended before it has stopped']
  assert.ok(messagesOf(replica.printed).some((message) => told.includes(message)))
})

test('what is left open when all has stopped, or could not start, keeps the process no longer', async () => {
  const left = { ...variables, NODE_OPTIONS: preload('setInterval(() => {}, 1000)') }
  const failed = runToExit({ ...left, HOST: '0.0.0.0' })
  await using replica = await startReplica(left)
  assert.equal(await replica.terminate(), 0)
  assert.ok(messagesOf(replica.printed).includes('The process is ended with something left open'))
  const { code, stderr } = await failed
  assert.equal(code, 1)
  assert.match(stderr, /^Parley cannot start: HOST.*\n$/)
})
