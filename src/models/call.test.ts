import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manualClock } from '../../test/support/clock.ts'
import { candidate, type ScriptedCall, scriptedProvider } from '../../test/support/scripted-provider.ts'
import { type CallEnd, ModelCall } from './call.ts'

const defaults = { connectTimeoutMs: 100, firstTokenTimeoutMs: 500, stallTimeoutMs: 300 }

function setUp(timers = defaults) {
  const clock = manualClock()
  const script = scriptedProvider()
  const ends: CallEnd[] = []
  const firstTokens: number[] = []
  const model = new ModelCall('text', timers, clock, {
    started: () => {},
    speaks: (ms) => firstTokens.push(ms),
    piece: () => {},
    ended: (end) => ends.push(end),
  })
  model.open(script.providerFor(), { spec: candidate('m').spec, body: {} })
  const wire = script.calls[0] as ScriptedCall
  return { clock, model, wire, ends, firstTokens }
}

const failed = (reason: string) => ({ kind: 'failed', reason, cause: undefined })

test('patience for headers, for the first content and between contents ends exactly when it should', () => {
  const connecting = setUp()
  connecting.clock.advance(99)
  assert.deepEqual(connecting.ends, [])
  connecting.clock.advance(1)
  assert.deepEqual(connecting.ends, [failed('connect_timeout')])

  const waiting = setUp()
  waiting.clock.advance(99)
  waiting.wire.start()
  waiting.clock.advance(400)
  assert.deepEqual(waiting.ends, [])
  waiting.clock.advance(1)
  assert.deepEqual(waiting.ends, [failed('first_token_timeout')])

  const speaking = setUp()
  speaking.wire.text('a')
  speaking.clock.advance(299)
  speaking.wire.text('b')
  speaking.clock.advance(299)
  assert.deepEqual(speaking.ends, [])
  speaking.clock.advance(1)
  assert.deepEqual(speaking.ends, [failed('stalled')])
  for (const { wire, clock } of [connecting, waiting, speaking]) {
    assert.equal(wire.aborted, true)
    assert.equal(clock.pending, 0)
  }
})

test('a first token may be due before the headers are, and a stall before the first token would have been', () => {
  const early = setUp({ ...defaults, firstTokenTimeoutMs: 50 })
  early.clock.advance(49)
  assert.deepEqual(early.ends, [])
  early.clock.advance(1)
  assert.deepEqual(early.ends, [failed('first_token_timeout')])

  const late = setUp()
  late.wire.start()
  late.clock.advance(150)
  late.wire.text('a')
  late.clock.advance(299)
  assert.deepEqual(late.ends, [])
  late.clock.advance(1)
  assert.deepEqual(late.ends, [failed('stalled')])
})

test('keep-alives, roles and empty content are no content', () => {
  for (const noise of [': ping\n\n', 'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n']) {
    const { clock, wire, ends, firstTokens } = setUp()
    for (let ms = 0; ms < 500; ms += 50) {
      wire.bytes(noise)
      clock.advance(50)
    }
    assert.deepEqual(ends, [failed('first_token_timeout')])
    assert.deepEqual(firstTokens, [])
  }
})

test('reasoning and tool calls are content', () => {
  const { clock, wire, ends, firstTokens } = setUp()
  clock.advance(50)
  wire.delta({ reasoning_content: 'hm' })
  clock.advance(250)
  wire.delta({ tool_calls: [{ index: 0, function: { name: 'f', arguments: '{' } }] })
  clock.advance(250)
  assert.deepEqual(ends, [])
  assert.deepEqual(firstTokens, [50])
})

test('patience does not run while we hold the provider back', () => {
  const { clock, model, wire, ends } = setUp()
  wire.text('a')
  clock.advance(200)
  model.pause()
  assert.equal(wire.paused, true)
  clock.advance(100_000)
  assert.deepEqual(ends, [])
  model.resume()
  assert.equal(wire.paused, false)
  clock.advance(99)
  assert.deepEqual(ends, [])
  clock.advance(1)
  assert.deepEqual(ends, [failed('stalled')])
})

test('one timer serves a whole call', () => {
  const { clock, wire, ends } = setUp()
  for (let piece = 0; piece < 100; piece++) {
    wire.text('x')
    assert.equal(clock.pending, 1)
    clock.advance(10)
  }
  wire.complete()
  assert.deepEqual(ends, [{ kind: 'finished' }])
  assert.equal(clock.pending, 0)
})

test('after the finish reason nothing fails any more', () => {
  const after: [string, (wire: ScriptedCall, clock: ReturnType<typeof manualClock>) => void][] = [
    ['a cut', (wire) => wire.fail('cut_off')],
    ['the end', (wire) => wire.end()],
    ['garbage', (wire) => wire.bytes('data: {\n\n')],
    ['silence', (_, clock) => clock.advance(1000)],
  ]
  for (const [name, happen] of after) {
    const { clock, wire, ends } = setUp()
    wire.text('a')
    wire.finish()
    assert.deepEqual(ends, [], name)
    happen(wire, clock)
    assert.deepEqual(ends, [{ kind: 'finished' }], name)
    assert.equal(clock.pending, 0, name)
  }
})

test('usage that comes with the end is waited for, a second at most', () => {
  const { clock, model, wire, ends } = setUp()
  wire.text('a')
  wire.finish()
  clock.advance(999)
  wire.usage(3, 4)
  assert.deepEqual(ends, [])
  clock.advance(1)
  assert.deepEqual(ends, [{ kind: 'finished' }])
  assert.equal(model.reader.usage?.completion, 4)
})

test('a body that goes on after [DONE] is cut off, without keeping anybody waiting', () => {
  const { clock, wire, ends } = setUp()
  wire.text('a')
  wire.finish()
  wire.done()
  assert.deepEqual(ends, [{ kind: 'finished' }])
  assert.equal(wire.aborted, false)
  clock.advance(1000)
  assert.equal(wire.aborted, true)
  assert.equal(clock.pending, 0)
})

test('a call that is over is not held back any more, so that its connection comes free', () => {
  const { model, wire } = setUp()
  wire.text('a')
  wire.finish()
  model.pause()
  wire.done()
  assert.equal(wire.paused, false)
  wire.end()
})

test('what ends without a finish reason has failed', () => {
  const done = setUp()
  done.wire.text('a')
  done.wire.done()
  assert.deepEqual(done.ends, [failed('no_finish')])

  const ended = setUp()
  ended.wire.text('a')
  ended.wire.end()
  assert.deepEqual(ended.ends, [failed('no_finish')])
})

test('garbage and errors within the stream end the call at once', () => {
  const garbage = setUp()
  garbage.wire.bytes('data: <html>\n\n')
  assert.equal(garbage.ends[0]?.kind === 'failed' && garbage.ends[0].reason, 'garbage')
  assert.equal(garbage.wire.aborted, true)

  const error = setUp()
  error.wire.bytes('data: {"error":{"message":"overloaded"}}\n\n')
  assert.equal(error.ends[0]?.kind === 'failed' && error.ends[0].reason, 'server_error')
})

test('aborting closes the connection at once and ends the call once', () => {
  const { clock, model, wire, ends } = setUp()
  wire.text('a')
  model.abort()
  model.abort()
  assert.equal(wire.aborted, true)
  assert.deepEqual(ends, [{ kind: 'cancelled' }])
  assert.equal(clock.pending, 0)
})
