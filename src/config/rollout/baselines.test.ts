import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from '#log.ts'
import { openKv } from '#platform/kv/open.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { Baselines } from './baselines.ts'

const HOUR_MS = 3_600_000
const good = { unit: 'conv_1', isError: false, firstTokenMs: 100, costUsd: 0.01 }

async function open() {
  const clock = manualClock()
  const tokens = { token: () => Promise.reject(new Error('No token is expected here.')) }
  const kv = await openKv({ env: { engine: 'sqlite', path: ':memory:' }, clock, log: createLog('silent'), tokens })
  const baselines = () => new Baselines(kv, { trialClosesMs: 900_000 })
  return { clock, kv, baselines, [Symbol.asyncDispose]: () => kv.close() }
}

test('replicas and hours add up, each version by itself', async () => {
  await using at = await open()
  const [one, two] = [at.baselines(), at.baselines()]
  for (let n = 0; n < 100; n++) {
    const replica = n % 2 ? one : two
    replica.add('h1', { ...good, trialOf: `p${n}`, isError: n < 10, firstTokenMs: 10 * (n + 1) }, at.clock.now())
    if (n === 49) {
      await Promise.all([one.flush(at.clock.now()), two.flush(at.clock.now())])
      at.clock.advance(HOUR_MS)
    }
  }
  one.add('h2', { ...good, trialOf: 'p' }, at.clock.now())
  await Promise.all([one.flush(at.clock.now()), two.flush(at.clock.now())])
  const { trials, errorRate, firstTokenMs } = await one.read('h1', at.clock.now())
  assert.deepEqual([trials, errorRate], [100, 0.1])
  assert.ok(Math.abs(firstTokenMs.p50 / 500 - 1) < 0.06 && Math.abs(firstTokenMs.p90 / 900 - 1) < 0.06)
  assert.equal((await one.read('h2', at.clock.now())).trials, 1)
})

test('what is older than a day is forgotten', async () => {
  await using at = await open()
  const baselines = at.baselines()
  baselines.add('h1', { ...good, trialOf: 'p' }, at.clock.now())
  await baselines.flush(at.clock.now())
  at.clock.advance(24 * HOUR_MS)
  assert.equal((await baselines.read('h1', at.clock.now())).trials, 1)
  at.clock.advance(HOUR_MS)
  assert.equal((await baselines.read('h1', at.clock.now())).trials, 0)
})

test('somebody is one trial an hour, whose error is counted once, and not after it is closed', async () => {
  await using at = await open()
  const baselines = at.baselines()
  const add = (unit: string, isError: boolean) =>
    baselines.add('h1', { ...good, unit, isError, trialOf: 'batch' }, at.clock.now())
  assert.deepEqual([add('a', false), add('b', true), add('a', true), add('a', true)], [true, false, false, false])
  at.clock.advance(900_000)
  add('a', true)
  await baselines.flush(at.clock.now())
  const { trials, errorRate } = await baselines.read('h1', at.clock.now())
  assert.deepEqual([trials, errorRate], [1, 1])
})

test('what cannot be flushed stays, and goes with the next', async () => {
  await using at = await open()
  const fails = { ...at.kv, run: () => Promise.reject(new Error('away')) }
  const kv = { ...at.kv, run: fails.run as typeof at.kv.run }
  const baselines = new Baselines(kv, { trialClosesMs: 0 })
  baselines.add('h1', { ...good, trialOf: 'p' }, at.clock.now())
  await baselines.flush(at.clock.now())
  kv.run = at.kv.run.bind(at.kv)
  await baselines.flush(at.clock.now())
  assert.equal((await baselines.read('h1', at.clock.now())).trials, 1)
})
