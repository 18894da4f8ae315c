import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type ConfigCheckEnv, configChecks } from '#config-checks.ts'
import { readEnv } from '#env.ts'
import { capturedLog } from '../../../test/support/captured-log.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { loadVersion } from '../load.ts'
import { ConfigLoader } from './loader.ts'

const { models, actions, rollout } = readEnv({})
const checked: ConfigCheckEnv = { models, actions, rollout, functions: ['calculate'] }
const entry = new URL('../../config-worker.ts', import.meta.url)

function version(builtin: string, description = 'd'): Buffer {
  const model = { provider: 'offline', contextWindow: 1000, continuation: 'restart', price: { input: 0, output: 0 } }
  const action = { description: 'Does', builtin, parameters: { type: 'object' } }
  const apollo = { title: 'A', instructions: 'I', route: 'default' }
  const routes = { default: { models: ['m'] } }
  return Buffer.from(
    JSON.stringify({ description, models: { m: model }, routes, specialists: { apollo }, actions: { act: action } }),
  )
}

function loaderOf(t: TestContext, thread = entry) {
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const loader = new ConfigLoader({ entry: thread, checked, checksOf: configChecks, clock, log })
  loader.toThread()
  t.after(() => loader.close())
  return { loader, clock, lines }
}

/** A thread of these words, as a module. */
function saying(program: string): URL {
  const head = "import { parentPort } from 'node:worker_threads'; parentPort.postMessage('ready');"
  return new URL(`data:text/javascript,${encodeURIComponent(head + program)}`)
}

test('the thread reads and checks as this one does, and what it answers cannot be changed', async (t) => {
  const { loader } = loaderOf(t)
  for (const bytes of [version('calculate'), version('nothing'), Buffer.from('a: [')]) {
    const loaded = await loader.load('v1', bytes, 'yaml')
    assert.deepEqual(loaded, loadVersion('v1', bytes, 'yaml', configChecks(checked)))
    if ('faults' in loaded) continue
    const { document } = loaded.version
    assert.throws(() => Object.assign(document.routes, { other: {} }), TypeError)
    assert.equal(document.specialists.constructor, undefined)
  }
})

test('what takes too long is refused, and the next is read by another thread', async (t) => {
  const { loader, clock } = loaderOf(t)
  const long = loader.load('v1', version('calculate', 'x'.repeat(800_000)), 'yaml')
  while (clock.pending === 0) await setImmediate()
  clock.advance(10_000)
  const loaded = await long
  assert.ok('faults' in loaded)
  assert.equal(loaded.faults[0]?.message, 'takes longer than 10 seconds to read')
  assert.ok('version' in (await loader.load('v1', version('calculate'), 'json')))
})

test('what takes too much memory is refused', async (t) => {
  const { loader } = loaderOf(t, saying("parentPort.on('message', () => { const a = []; for (;;) a.push([...a, 0]) })"))
  const loaded = await loader.load('v1', version('calculate'), 'json')
  assert.ok('faults' in loaded)
  assert.equal(loaded.faults[0]?.message, 'takes more than 512 MiB of memory to read')
})

test('a fault of ours is refused and logged', async (t) => {
  const { loader, lines } = loaderOf(t, saying("parentPort.on('message', () => { throw new Error('broken') })"))
  const loaded = await loader.load('v1', version('calculate'), 'json')
  assert.ok('faults' in loaded)
  assert.match(loaded.faults[0]?.message ?? '', /for a reason of our own/)
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['Reading a config version failed'],
  )
})

test('a thread that says it is ready and dies before this one has heard of either is refused', async (t) => {
  const { loader } = loaderOf(t, saying("throw new Error('gone')"))
  const loading = loader.load('v1', version('calculate'), 'json')
  await Promise.resolve()
  // Busy with other things until the thread is gone.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
  const loaded = await loading
  assert.ok('faults' in loaded)
  assert.match(loaded.faults[0]?.message ?? '', /for a reason of our own/)
})

test('an idle thread is let go', async (t) => {
  const { loader, clock } = loaderOf(t)
  await loader.load('v1', version('calculate'), 'json')
  assert.equal(clock.pending, 1)
  clock.advance(60_000)
  assert.equal(clock.pending, 0)
  assert.ok('version' in (await loader.load('v1', version('calculate'), 'json')))
})

test('closing ends what is under way and what waits', async (t) => {
  const { loader, clock } = loaderOf(t)
  const loads = [1, 2].map((each) => loader.load(`v${each}`, version('calculate'), 'json'))
  const outcomes = Promise.allSettled(loads)
  await loader.close()
  for (const outcome of await outcomes) {
    assert.equal(outcome.status === 'rejected' && outcome.reason.code, 'shutting_down')
  }
  assert.equal(clock.pending, 0)
})

test('before there is anything to serve, small ones are read without a thread', async (t) => {
  const clock = manualClock()
  const nowhere = saying("throw new Error('not here')")
  const loader = new ConfigLoader({ entry: nowhere, checked, checksOf: configChecks, clock, log: capturedLog().log })
  t.after(() => loader.close())
  assert.ok('version' in (await loader.load('v1', version('calculate'), 'json')))
  assert.ok('faults' in (await loader.load('v1', version('calculate', 'x'.repeat(65_536)), 'json')))
  loader.toThread()
  assert.ok('faults' in (await loader.load('v1', version('calculate'), 'json')))
})
