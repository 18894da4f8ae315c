import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../test/support/clock.ts'
import { RunMemory } from './run-memory.ts'

function memory() {
  const clock = manualClock()
  const runs = new RunMemory(clock)
  const begin = (key: string) => runs.add({ id: key, key, action: 'a', status: 'queued', output: undefined }, 'turn')
  const settle = (key: string) => runs.update(begin(key), { status: 'succeeded', output: '1' })
  return { clock, runs, begin, settle }
}

test('a settled run is remembered for an hour', () => {
  const { clock, runs, settle } = memory()
  settle('t/0/0')
  clock.advance(3_600_000)
  assert.equal(runs.get('t/0/0')?.run.status, 'succeeded')
  clock.advance(1)
  assert.equal(runs.get('t/0/0'), undefined)
})

test('the last 10000 settled runs are remembered', () => {
  const { runs, settle } = memory()
  for (let index = 0; index < 10_000; index++) settle(`t/0/${index}`)
  assert.ok(runs.get('t/0/0'))
  settle('t/1/0')
  assert.equal(runs.get('t/0/0'), undefined)
  assert.ok(runs.get('t/0/1'))
})

test('a run under way is never forgotten', () => {
  const { clock, runs, begin, settle } = memory()
  begin('live')
  for (let index = 0; index <= 10_000; index++) settle(`t/0/${index}`)
  clock.advance(10_000_000)
  assert.equal(runs.get('live')?.run.status, 'queued')
  assert.deepEqual(
    runs.liveOf('turn').map(({ run }) => run.key),
    ['live'],
  )
})
