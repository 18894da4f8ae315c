import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { manualClock } from '../test/support/clock.ts'
import { ParleyError } from './errors.ts'
import { hearStopSignals } from './stop-signals.ts'

function signalsAtHand() {
  const clock = manualClock()
  const from = new EventEmitter()
  const ended: string[] = []
  const stops = hearStopSignals({ from, clock, end: (reason) => ended.push(reason) })
  return { clock, stops, ended, send: (signal: NodeJS.Signals) => from.emit(signal, signal) }
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} is told, and ends a start`, async () => {
    const { stops, ended, send } = signalsAtHand()
    assert.equal(stops.signal.aborted, false)
    send(signal)
    assert.equal(await stops.told, signal)
    assert.ok(stops.signal.reason instanceof ParleyError && stops.signal.reason.code === 'shutting_down')
    assert.deepEqual(ended, [])
  })
}

test('without a signal nothing is ended', () => {
  const { clock, stops, ended } = signalsAtHand()
  stops.allow(1000)
  clock.advance(1_000_000)
  assert.deepEqual([ended, clock.pending], [[], 0])
})

test('a start that does not give up is ended after five seconds', () => {
  const { clock, ended, send } = signalsAtHand()
  send('SIGTERM')
  clock.advance(4999)
  assert.deepEqual(ended, [])
  clock.advance(1)
  assert.deepEqual(ended, ['it has not stopped within 5000 ms'])
})

test('who serves has the time that it was allowed, from the signal on, whenever that came', () => {
  for (const isEarly of [true, false]) {
    const { clock, stops, ended, send } = signalsAtHand()
    if (isEarly) send('SIGTERM')
    clock.advance(3000)
    stops.allow(20_000)
    if (!isEarly) send('SIGTERM')
    clock.advance(isEarly ? 16_999 : 19_999)
    assert.deepEqual(ended, [])
    clock.advance(1)
    assert.deepEqual(ended, ['it has not stopped within 20000 ms'])
  }
})

test('the echo of a signal is passed over, a second one ends the process', () => {
  const { clock, ended, send } = signalsAtHand()
  send('SIGINT')
  send('SIGINT')
  clock.advance(999)
  send('SIGTERM')
  assert.deepEqual(ended, [])
  clock.advance(1)
  send('SIGINT')
  assert.deepEqual(ended, ['SIGINT, while it was stopping'])
})
