import assert from 'node:assert/strict'
import { test } from 'node:test'
import { modelsAtHand } from '../../test/support/models-at-hand.ts'
import { candidate } from '../../test/support/scripted-provider.ts'

const first = candidate('first')
const second = candidate('second')
const third = candidate('third')
const instructed = candidate('instructed', { continuation: 'instructed' })
const restart = candidate('restart', { continuation: 'restart' })

test('one model answers: its text, its finish, its bill', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer } = ask([first, second], { parameters: { temperature: 0.5 } })
  const call = await script.opened(1)
  assert.deepEqual(call.body, {
    temperature: 0.5,
    messages: [{ role: 'user', content: 'Hello?' }],
    stream: true,
    stream_options: { include_usage: true },
  })
  call.text('Hel', 'lo.')
  call.complete()
  assert.deepEqual(
    { ...(await answer), text: (await answer).text },
    {
      finish: 'stop',
      text: 'Hello.',
      toolCalls: [],
      model: 'first',
      wire: { id: 'chatcmpl-1', created: 7, model: 'wire' },
    },
  )
  assert.deepEqual(sink.events, ['speaker first', 'text Hel', 'text lo.', 'ended first completed'])
  assert.equal(sink.segments[0]?.costUsd, (10 * 2 + 5 * 8) / 1_000_000)
  assert.equal(script.calls.length, 1)
})

test('before the first visible text the next model follows silently, whatever befell the first', async () => {
  const { ask, script, clock } = modelsAtHand()
  const mishaps: [string, (call: Awaited<ReturnType<typeof script.opened>>) => void][] = [
    ['server_error', (call) => call.refuse(500)],
    ['misconfigured', (call) => call.refuse(401)],
    ['rate_limited', (call) => call.refuse(429)],
    ['connect_failed', (call) => call.fail('connect_failed')],
    ['connect_timeout', () => clock.advance(5000)],
    ['first_token_timeout', (call) => [call.start(), clock.advance(20_000)]],
    ['cut_off', (call) => [call.start(), call.fail('cut_off')]],
    ['garbage', (call) => call.bytes('data: garbage\n\n')],
    ['no_finish', (call) => [call.start(), call.end()]],
  ]
  for (const [index, [reason, happen]] of mishaps.entries()) {
    const { sink, answer } = ask([candidate(`first${index}`), second])
    happen(await script.opened(2 * index + 1))
    const follower = await script.opened(2 * index + 2)
    follower.text('Hello.')
    follower.complete()
    assert.equal((await answer).text, 'Hello.')
    assert.deepEqual(
      sink.events.filter((event) => !event.startsWith('speaker first')),
      [`ended first${index} failed ${reason}`, 'speaker second', 'text Hello.', 'ended second completed'],
    )
  }
})

test('after visible text a prefill model goes on from it, with a seam', async () => {
  const { ask, script, clock } = modelsAtHand()
  const { sink, answer } = ask([first, second])
  const call = await script.opened(1)
  call.text('Hello ')
  clock.advance(20_000)
  const next = await script.opened(2)
  assert.equal(call.aborted, true)
  assert.deepEqual(next.body.messages, [
    { role: 'user', content: 'Hello?' },
    { role: 'assistant', content: 'Hello' },
  ])
  next.text(' wor', 'ld.')
  next.complete()
  assert.equal((await answer).text, 'Hello world.')
  assert.equal((await answer).model, 'second')
  assert.equal(sink.shown, 'Hello world.')
  assert.deepEqual(sink.events, [
    'speaker first',
    'text Hello ',
    'ended first failed stalled',
    'speaker second',
    'seam second stalled',
    'text wor',
    'text ld.',
    'ended second completed',
  ])
})

test('an instructed model is held back until it is known what it repeats', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer } = ask([first, instructed])
  const call = await script.opened(1)
  call.text('The quick brown')
  call.fail('cut_off')
  const next = await script.opened(2)
  next.text('quick', ' brown')
  assert.equal(sink.shown, 'The quick brown')
  next.text(' fox', ' jumps.')
  next.complete()
  assert.equal((await answer).text, 'The quick brown fox jumps.')
  assert.equal(sink.shown, 'The quick brown fox jumps.')
  assert.deepEqual(sink.events.slice(3), [
    'speaker instructed',
    'seam instructed cut_off',
    'text  fox',
    'text  jumps.',
    'ended instructed completed',
  ])
})

test('an instructed model that starts afresh resets what was shown', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer } = ask([first, instructed])
  const call = await script.opened(1)
  call.text('The capital of France is')
  call.fail('cut_off')
  const next = await script.opened(2)
  next.text('The capital ', 'of Italy', ' is Rome.')
  next.complete()
  assert.equal((await answer).text, 'The capital of Italy is Rome.')
  assert.equal(sink.shown, 'The capital of Italy is Rome.')
  assert.ok(sink.events.includes('seam instructed cut_off reset'))
})

test('what is still held back when the model finishes is decided then', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer } = ask([first, instructed])
  const call = await script.opened(1)
  call.text('All is said and done')
  call.fail('cut_off')
  const next = await script.opened(2)
  next.text('said and', ' done')
  next.complete()
  assert.equal((await answer).text, 'All is said and done')
  assert.deepEqual(sink.events.slice(3), [
    'speaker instructed',
    'seam instructed cut_off',
    'ended instructed completed',
  ])
})

test('a restart model resets with its first text and not before', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer } = ask([first, restart, second])
  const call = await script.opened(1)
  call.text('Hello')
  call.fail('cut_off')
  const silent = await script.opened(2)
  assert.deepEqual(silent.body.messages, [{ role: 'user', content: 'Hello?' }])
  silent.start()
  silent.fail('cut_off')
  const last = await script.opened(3)
  last.text(' world.')
  last.complete()
  assert.equal((await answer).text, 'Hello world.')
  assert.deepEqual(
    sink.events.filter((event) => event.startsWith('seam')),
    ['seam second cut_off'],
  )
})

test('a third model goes on from a reset, which failed in turn', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer } = ask([first, restart, third])
  const one = await script.opened(1)
  one.text('Hello')
  one.fail('cut_off')
  const two = await script.opened(2)
  two.text('Good ', 'mor')
  two.bytes('data: garbage\n\n')
  const three = await script.opened(3)
  assert.deepEqual((three.body.messages as unknown[]).at(-1), { role: 'assistant', content: 'Good mor' })
  three.text('ning.')
  three.complete()
  assert.equal((await answer).text, 'Good morning.')
  assert.equal(sink.shown, 'Good morning.')
  assert.deepEqual(
    sink.events.filter((event) => event.startsWith('seam')),
    ['seam restart cut_off reset', 'seam third garbage'],
  )
})

test('a model that fails while it is held back leaves no trace but its bill', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer } = ask([first, instructed, third])
  const one = await script.opened(1)
  one.text('The quick brown')
  one.fail('cut_off')
  const two = await script.opened(2)
  two.text('quick')
  two.fail('cut_off')
  const three = await script.opened(3)
  three.text(' fox.')
  three.complete()
  assert.equal((await answer).text, 'The quick brown fox.')
  assert.deepEqual(
    sink.segments.map(({ model, outputTokens, estimated }) => [model, outputTokens, estimated]),
    [
      ['first', 15, true],
      ['instructed', 5, true],
      ['third', 5, false],
    ],
  )
  assert.deepEqual(
    sink.events.filter((event) => event.startsWith('seam')),
    ['seam third cut_off'],
  )
})

test('the text of a producer that died is continued with a seam', async () => {
  const { ask, script } = modelsAtHand()
  const { sink, answer } = ask([first], { visible: 'Hello' })
  const call = await script.opened(1)
  call.text(' world.')
  call.complete()
  assert.equal((await answer).text, 'Hello world.')
  assert.deepEqual(sink.events, ['speaker first', 'seam first producer_lost', 'text  world.', 'ended first completed'])
})

test('a limit of tokens counts what is visible already', async () => {
  const { ask, script } = modelsAtHand()
  const { answer } = ask([first, second], { parameters: { max_tokens: 20 } })
  const call = await script.opened(1)
  call.text('Hello')
  call.fail('cut_off')
  const next = await script.opened(2)
  assert.equal(next.body.max_tokens, 15)
  next.complete()
  await answer
})
