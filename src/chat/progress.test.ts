import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Segment } from '#models/answer.ts'
import { decodeEvents, encodeEvents } from './event-codec.ts'
import { Progress } from './progress.ts'
import type { TurnEvent, TurnEvents, TurnEventType } from './turn-events.ts'

const segment: Segment = {
  model: 'primary',
  provider: 'offline',
  inputTokens: 10,
  cachedTokens: 0,
  outputTokens: 5,
  costUsd: 0.001,
  estimated: false,
  outcome: 'completed',
  durationMs: 12,
}

type Told = { [Type in TurnEventType]: [Type, TurnEvents[Type]] }[TurnEventType]

const turn: Told[] = [
  ['turn.started', { turn: 't', conversation: null, specialist: 's', config: 'v1', arm: 'stable' }],
  ['token', { text: 'Let me ', model: 'primary' }],
  ['segment', { model: 'backup', reason: 'stalled' }],
  ['token', { text: 'look. ' }],
  ['usage', { ...segment, step: 0, finish: 'tool_calls' }],
  ['call', { step: 0, index: 0, action: 'time', arguments: '{}' }],
  ['call', { step: 0, index: 1, action: 'sum', arguments: '{"a":1}' }],
  ['run', { id: 'r1', action: 'time', status: 'running', step: 0, index: 0 }],
  ['run', { id: 'r1', action: 'time', status: 'succeeded', step: 0, index: 0, output: '"noon"' }],
  ['run', { id: 'r2', action: 'sum', status: 'failed', step: 0, index: 1, output: 'no' }],
  ['token', { text: 'It is late', model: 'primary' }],
  ['segment', { model: 'backup', reason: 'cut_off', reset: true }],
  ['token', { text: 'It is noon.' }],
  ['usage', { ...segment, step: 1, finish: 'stop' }],
]

function follow(told: readonly Told[]): Progress {
  const progress = new Progress()
  for (const [type, data] of told) progress.apply(type, data)
  return progress
}

test('a turn stands where its events left it', () => {
  const progress = follow(turn)
  assert.equal(progress.text, 'Let me look. It is noon.')
  assert.equal(progress.next, turn.length)
  assert.equal(progress.steps.length, 1)
  assert.deepEqual(
    progress.steps[0]?.calls.map(({ status, output }) => [status, output]),
    [
      ['succeeded', '"noon"'],
      ['failed', 'no'],
    ],
  )
  assert.equal(progress.current.step, 1)
  assert.equal(progress.current.finish, 'stop')
  assert.deepEqual([...progress.runs.keys()], ['r1', 'r2'])
  assert.equal(progress.calls, 2)
})

test('a successor reads from the log, cut into appends anywhere, what the producer knew at every position', () => {
  const events = turn.map(([type, data], position): TurnEvent => ({ position, type, data: JSON.stringify(data) }))
  for (let end = 1; end <= events.length; end += 1) {
    for (const cut of [1, 2, 5, end]) {
      const successor = new Progress()
      for (let from = 0; from < end; from += cut) {
        const batch = events.slice(from, Math.min(from + cut, end))
        const body = Buffer.from(encodeEvents(batch))
        for (const event of decodeEvents(body, batch.at(-1)?.position ?? 0)) successor.replay(event)
      }
      const producer = follow(turn.slice(0, end))
      assert.deepEqual(
        [successor.steps, successor.current, successor.segments, successor.text, successor.next],
        [producer.steps, producer.current, producer.segments, producer.text, producer.next],
      )
    }
  }
})

test('a reset forgets the text of its own step only', () => {
  const progress = follow(turn.slice(0, 12))
  assert.equal(progress.text, 'Let me look. ')
})
