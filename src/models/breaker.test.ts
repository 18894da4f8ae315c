import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../test/support/clock.ts'
import { Breaker, type Permit } from './breaker.ts'

function setUp(random = 0) {
  const clock = manualClock()
  const openings: number[] = []
  const closings: number[] = []
  const breaker = new Breaker({
    clock,
    random: () => random,
    onOpen: (openMs) => openings.push(openMs),
    onClose: () => closings.push(clock.monotonic()),
  })
  const admit = (): Permit => {
    const permit = breaker.admit()
    assert.ok(permit, 'the circuit lets the call through')
    return permit
  }
  const succeed = (times: number) => {
    for (let call = 0; call < times; call++) breaker.success(admit())
  }
  const fail = (times: number) => {
    for (let call = 0; call < times; call++) breaker.failure(admit())
  }
  return { clock, breaker, openings, closings, admit, succeed, fail }
}

test('opens at the fifth failure in a row, not at the fourth', () => {
  const { breaker, fail, succeed } = setUp()
  succeed(20)
  fail(4)
  succeed(1)
  fail(4)
  assert.equal(breaker.state, 'closed')
  fail(1)
  assert.equal(breaker.state, 'open')
  assert.equal(breaker.admit(), undefined)
})

test('opens when half of the recent outcomes are failures, and not below half', () => {
  const { breaker, fail, succeed } = setUp()
  for (let round = 0; round < 4; round++) {
    succeed(1)
    fail(1)
  }
  assert.equal(breaker.state, 'closed', 'four failures of eight are too few to tell')
  succeed(2)
  fail(1)
  assert.equal(breaker.state, 'closed', 'five of eleven are less than half')
  fail(1)
  assert.equal(breaker.state, 'open', 'six of twelve are half')
})

test('outcomes older than 30 s, or before the last 20, do not count', () => {
  const aged = setUp()
  aged.fail(4)
  aged.clock.advance(30_001)
  aged.succeed(1)
  aged.fail(4)
  assert.equal(aged.breaker.state, 'closed')

  const buried = setUp()
  buried.fail(4)
  buried.succeed(16)
  buried.fail(4)
  assert.equal(buried.breaker.state, 'closed', 'the first four have left the last twenty')
})

test('lets one trial through when its time is over, and closes when that speaks', () => {
  const { clock, breaker, fail, admit, openings, closings } = setUp()
  fail(5)
  assert.deepEqual(openings, [2000])
  clock.advance(1999)
  assert.equal(breaker.state, 'open')
  clock.advance(1)
  assert.equal(breaker.state, 'half-open')
  const trial = admit()
  assert.equal(breaker.admit(), undefined, 'one trial at a time')
  breaker.speaks(trial)
  assert.equal(breaker.state, 'closed')
  assert.deepEqual(closings, [2000])
  assert.ok(breaker.admit(), 'others need not wait for the end of the trial')
})

test('a failed trial opens it for twice as long, up to a minute, and a full success forgets that', () => {
  const { clock, breaker, fail, admit, openings, succeed } = setUp()
  fail(5)
  for (let round = 0; round < 6; round++) {
    clock.advance(60_000)
    breaker.failure(admit())
  }
  assert.deepEqual(openings, [2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  clock.advance(60_000)
  succeed(1)
  fail(5)
  assert.equal(openings.at(-1), 2000)
})

test('jitter stretches the open time by up to as much again', () => {
  const { clock, breaker, fail, admit, openings } = setUp(0.999)
  fail(5)
  for (let round = 0; round < 5; round++) {
    clock.advance(60_000)
    breaker.failure(admit())
  }
  assert.ok(openings.every((openMs, at) => openMs <= Math.min(60_000, 4000 * 2 ** at)))
  assert.ok((openings[0] ?? 0) > 3900 && (openings.at(-1) ?? 0) > 59_000)
})

test('after a trial that spoke, the first outcome decides', () => {
  const { clock, breaker, fail, admit, openings } = setUp()
  fail(5)
  clock.advance(2000)
  const trial = admit()
  breaker.speaks(trial)
  breaker.failure(trial)
  assert.equal(breaker.state, 'open')
  assert.deepEqual(openings, [2000, 4000])
})

test('a neutral end gives the slot of a trial back', () => {
  const { clock, breaker, fail, admit } = setUp()
  fail(5)
  clock.advance(2000)
  breaker.neutral(admit())
  assert.equal(breaker.state, 'half-open')
  assert.ok(breaker.admit())
})

test('what a call of an earlier era has to tell is no news', () => {
  const { clock, breaker, fail, admit, openings } = setUp()
  const slow = admit()
  const slower = admit()
  fail(5)
  breaker.success(slow)
  assert.equal(breaker.state, 'open')
  clock.advance(2000)
  const trial = admit()
  breaker.failure(slower)
  breaker.neutral(slower)
  assert.equal(breaker.admit(), undefined, 'the slot is still taken')
  breaker.success(trial)
  assert.equal(breaker.state, 'closed')
  assert.equal(openings.length, 1)
})

test('a forced call that speaks closes an open circuit; one that fails changes nothing', () => {
  const { breaker, fail, openings } = setUp()
  fail(5)
  const failing = breaker.force()
  assert.ok(failing)
  breaker.failure(failing)
  assert.equal(breaker.state, 'open')
  assert.equal(openings.length, 1)
  const speaking = breaker.force()
  assert.ok(speaking)
  breaker.speaks(speaking)
  assert.equal(breaker.state, 'closed')
  breaker.success(speaking)
  assert.equal(breaker.state, 'closed')
})

test('an operator holds it open or closed, and gives it back without a past', () => {
  const { breaker, fail } = setUp()
  breaker.hold('open')
  assert.equal(breaker.state, 'open')
  assert.equal(breaker.admit(), undefined)
  assert.equal(breaker.force(), undefined)
  breaker.hold('closed')
  fail(9)
  assert.equal(breaker.state, 'closed')
  assert.equal(breaker.held, 'closed')
  breaker.hold('auto')
  fail(4)
  assert.equal(breaker.state, 'closed')
  fail(1)
  assert.equal(breaker.state, 'open')
  assert.equal(breaker.held, undefined)
})
