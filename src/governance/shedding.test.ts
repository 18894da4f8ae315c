import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { capturedLog } from '../../test/support/captured-log.ts'
import { manualClock } from '../../test/support/clock.ts'
import { createShedding, type SheddingLimits } from './shedding.ts'

function replica(limits: Partial<SheddingLimits> = {}) {
  const clock = manualClock()
  let lagMs = 0
  let collected = 0
  const load = { heapUsed: 0, heapLimit: 1000, residentUsed: 0, residentLimit: 1000 }
  const shedding = createShedding({
    limits: { delayMs: 1000, heapPercent: 85, memoryPercent: 90, ...limits },
    read: () => load,
    collect: () => {
      collected += 1
    },
    clock: { ...clock, monotonic: () => clock.monotonic() + lagMs },
    log: capturedLog().log,
    random: () => 0.5,
  })
  /** One sample after another, each so late. */
  const pass = (...latenesses: number[]) => {
    for (const lateMs of latenesses) {
      lagMs += lateMs
      clock.advance(250)
    }
  }
  return { clock, load, shedding, pass, collected: () => collected }
}

for (const [what, cause, edge] of [
  ['heapUsed', 'heap', 850],
  ['residentUsed', 'memory', 900],
] as const) {
  test(`from its limit on, ${cause} is too much, and until a tenth below it`, () => {
    const { load, shedding, pass } = replica()
    load[what] = edge - 1
    pass(0)
    shedding.check()
    load[what] = edge
    pass(0)
    assert.equal(shedding.cause, cause)
    load[what] = Math.ceil(edge * 0.9)
    pass(0)
    assert.equal(shedding.cause, cause)
    load[what] = Math.ceil(edge * 0.9) - 1
    pass(0)
    assert.equal(shedding.cause, undefined)
    shedding.close()
  })
}

test('an event loop that is late for a second on average has too much to do, one that hiccups has not', () => {
  const { shedding, pass } = replica()
  pass(0, 0, 0, 3999, 0, 0, 0)
  assert.equal(shedding.cause, undefined)
  pass(1000, 1000, 1000)
  assert.equal(shedding.cause, undefined)
  pass(1000)
  assert.equal(shedding.cause, 'event loop')
  pass(601)
  assert.equal(shedding.cause, 'event loop', '3601 ms within a second')
  pass(900)
  assert.equal(shedding.cause, undefined)
  shedding.close()
})

test('who is refused is told when to come back, and is counted', () => {
  const { load, shedding, pass } = replica()
  load.heapUsed = 1000
  pass(0)
  for (const count of [1, 2]) {
    assert.throws(
      () => shedding.check(),
      (error) => error instanceof ParleyError && error.code === 'overloaded' && error.retryAfterMs === 3000,
    )
    assert.equal(shedding.refused, count)
  }
  shedding.close()
})

test('while memory is short it is freed every five seconds, and not for a late event loop', () => {
  const { load, shedding, pass, collected, clock } = replica()
  pass(2000, 2000, 2000)
  assert.deepEqual([shedding.cause, collected()], ['event loop', 0])
  pass(0, 0, 0, 0)
  load.residentUsed = 1000
  pass(0)
  assert.deepEqual([shedding.cause, collected()], ['memory', 1])
  clock.advance(4999)
  assert.equal(collected(), 1)
  clock.advance(251)
  assert.equal(collected(), 2)
  shedding.close()
})

test('a limit of 0 is none', () => {
  const { load, shedding, pass } = replica({ delayMs: 0, heapPercent: 0, memoryPercent: 0 })
  Object.assign(load, { heapUsed: 2000, residentUsed: 2000 })
  pass(9000, 9000, 9000, 9000)
  assert.equal(shedding.cause, undefined)
  shedding.close()
})

test('nothing is looked at once it is closed', () => {
  const { clock, shedding } = replica()
  assert.equal(clock.pending, 1)
  shedding.close()
  assert.equal(clock.pending, 0)
})
