import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '#errors.ts'
import { modelsAtHand } from '../../test/support/models-at-hand.ts'
import { candidate, relayedText } from '../../test/support/scripted-provider.ts'

const first = candidate('first')
const second = candidate('second')
const instructed = candidate('instructed', { continuation: 'instructed' })

const code = (expected: string) => (error: unknown) => {
  assert.equal(error instanceof ParleyError ? error.code : error, expected)
  return true
}

const deltaOf = (index: number, args: string, more: object = {}) => ({
  tool_calls: [{ index, ...more, function: { arguments: args, ...(Object.keys(more).length > 0 && { name: 'f' }) } }],
})

test('tool calls are handed over whole, or with what is wrong with them', async () => {
  const { ask, script } = modelsAtHand()
  const { answer } = ask([first])
  const call = await script.opened(1)
  call.delta(deltaOf(0, '{"a"', { id: 'x' }))
  call.delta(deltaOf(1, '[1]', { id: 'y' }))
  call.delta(deltaOf(0, ':1}'))
  call.complete('tool_calls')
  const { finish, toolCalls } = await answer
  assert.equal(finish, 'tool_calls')
  assert.deepEqual(toolCalls, [
    { index: 0, id: 'x', name: 'f', arguments: '{"a":1}' },
    { index: 1, id: 'y', name: 'f', arguments: '[1]', invalid: 'The arguments are not a JSON object.' },
  ])
})

test('nothing is executed after length or a content filter; a demanded call may end with stop', async () => {
  const { ask, script } = modelsAtHand()
  const finishes = { length: 'length', max_tokens: 'length', content_filter: 'content_filter', stop: 'tool_calls' }
  for (const [index, [reason, finish]] of Object.entries(finishes).entries()) {
    const { answer } = ask([first])
    const call = await script.opened(index + 1)
    call.delta(deltaOf(0, '{}', { id: 'x' }))
    call.complete(reason)
    assert.equal((await answer).finish, finish)
    assert.equal((await answer).toolCalls.length, finish === 'tool_calls' ? 1 : 0)
  }
  const { answer } = ask([first])
  ;(await script.opened(5)).complete('tool_calls')
  assert.equal((await answer).finish, 'stop')
})

test('half of a tool call: in mode text nobody saw it, in mode relay it cannot be taken back', async () => {
  const { ask, script } = modelsAtHand()
  const hidden = ask([first, second])
  const call = await script.opened(1)
  call.text('Let me see. ')
  call.delta(deltaOf(0, '{"a"', { id: 'x' }))
  call.fail('cut_off')
  const next = await script.opened(2)
  next.delta(deltaOf(0, '{"b":1}', { id: 'y' }))
  next.complete('tool_calls')
  const { toolCalls, text } = await hidden.answer
  assert.deepEqual([toolCalls.map(({ id }) => id), text], [['y'], 'Let me see. '])
  assert.equal(hidden.sink.segments[0]?.outputTokens, 'Let me see. f{"a"'.length)

  const relayed = ask([first, second], { mode: 'relay' })
  const half = await script.opened(3)
  half.delta(deltaOf(0, '{"a"', { id: 'x' }))
  half.fail('cut_off')
  await assert.rejects(relayed.answer, code('model_interrupted'))
  assert.equal(script.calls.length, 3)
})

test('in mode relay a call that fails silently leaves no frame, and whole frames pass untouched', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer } = ask([first, second], { mode: 'relay' })
  const frames: string[] = []
  sink.frames = (bytes) => frames.push(bytes.toString())
  const call = await script.opened(1)
  call.delta({ role: 'assistant', content: '' })
  call.fail('cut_off')
  const next = await script.opened(2)
  next.delta({ role: 'assistant', content: '' })
  assert.deepEqual(frames, [])
  const odd = 'data: {"id":"x",  "choices":[{"index":0,"delta":{"content":"Hi"},"extra":1}]}\n\n'
  next.bytes(odd)
  assert.ok(frames.join('').endsWith(odd))
  assert.equal(frames.join('').match(/assistant/g)?.length, 1)
  next.complete()
  assert.equal((await answer).text, 'Hi')
  assert.match(frames.at(-1) ?? '', /"finish_reason":"stop"/)
  assert.doesNotMatch(frames.join(''), /usage|DONE/)
})

test('in mode relay an overlap is cut out of the frames, and tool calls come after it', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer } = ask([first, instructed], { mode: 'relay' })
  const frames: Buffer[] = []
  sink.frames = (bytes) => frames.push(bytes)
  const call = await script.opened(1)
  call.text('The quick brown')
  call.fail('cut_off')
  const next = await script.opened(2)
  next.text('quick', ' brown')
  assert.equal(relayedText(Buffer.concat(frames)), 'The quick brown')
  next.delta(deltaOf(0, '{}', { id: 'x' }))
  assert.match(Buffer.concat(frames).toString(), /tool_calls/)
  next.complete('tool_calls')
  const { text, toolCalls } = await answer
  assert.equal(text, 'The quick brown')
  assert.equal(relayedText(Buffer.concat(frames)), 'The quick brown')
  assert.equal(toolCalls.length, 1)
})

test('a provider that relays nothing but frames without content is passed on in the end', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer } = ask([first], { mode: 'relay' })
  const call = await script.opened(1)
  for (let frame = 0; frame < 11; frame++) {
    assert.equal(sink.events.includes('frames'), false)
    call.delta({ role: 'assistant', padding: 'x'.repeat(100_000) })
  }
  assert.equal(sink.events.includes('frames'), true)
  call.complete()
  await answer
})
