import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { comparedTimes, shadowAtHand } from '../support/shadow-at-hand.ts'

const ground = await shadowAtHand({
  document: (given) => ({
    ...given,
    specialists: { ...given.specialists, plain: { title: 'Plain', instructions: 'Be brief.', route: 'default' } },
  }),
})
after(() => ground[Symbol.asyncDispose]())
afterEach(() => ground.end())
await ground.consent()

test('a version is tried on a copy of a turn, and compared in figures', async () => {
  await ground.start()
  const { status } = await ground.talk('What time is it?')
  assert.equal(status, 'completed')
  const { comparison, live } = await ground.viewWhen(comparedTimes(1))
  const [copy] = ground.copies()
  assert.deepEqual(copy?.body.messages, [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'What time is it?' },
  ])
  assert.equal(copy?.body.max_tokens, 4096, 'what its window keeps free for an answer')
  assert.equal(live?.version, 'v2')
  assert.deepEqual(comparison?.turns, { taken: 1, compared: 1, lost: 0 })
  assert.deepEqual([comparison?.served.finishes, comparison?.shadowed.finishes], [{ stop: 1 }, { stop: 1 }])
  assert.deepEqual([comparison?.served.characters, comparison?.shadowed.characters], [11, 12])
  assert.deepEqual([comparison?.served.outputTokens, comparison?.shadowed.outputTokens], [2, 2])
  assert.equal(comparison?.overlap, 1, 'the same words')
  assert.equal(comparison?.costUsd.held, 0)
  assert.ok(comparison && comparison.costUsd.spent > 0 && comparison.costUsd.spent < 0.001)
  const shown = JSON.stringify(await ground.view()).toLowerCase()
  assert.ok(!shown.includes('noon') && !shown.includes('what time'), 'nothing of what was said is shown')
})

test('its actions are judged and never done', async () => {
  await ground.start()
  ground.plans.served = { pieces: ['It is noon.'] }
  ground.plans.candidate = {
    toolCalls: [
      { name: 'current_time', arguments: '{"zone":"Europe/Rome"}' },
      { name: 'calculate', arguments: '{"sum":"1+1"}' },
      { name: 'launch_rocket', arguments: '{}' },
    ],
  }
  const { runs } = await ground.talk('What time is it in Rome?', 'helper')
  const { comparison } = await ground.viewWhen(comparedTimes(1))
  assert.deepEqual(comparison?.shadowed.finishes, { tool_calls: 1 })
  const none = { calls: 0, outcomes: {}, arguments: {} }
  assert.deepEqual(comparison?.actions, [
    { action: '?', served: none, shadowed: { calls: 1, outcomes: { unknown_action: 1 }, arguments: {} } },
    { action: 'calculate', served: none, shadowed: { calls: 1, outcomes: { arguments_invalid: 1 }, arguments: {} } },
    {
      action: 'current_time',
      served: none,
      shadowed: { calls: 1, outcomes: { 'would-run': 1 }, arguments: { zone: 1 } },
    },
  ])
  assert.equal(ground.copies().length, 1, 'it is asked once: nothing came of its calls')
  assert.deepEqual(runs, [])
})

test('a turn that calls actions is compared by its first answer', async () => {
  await ground.start()
  const call = { toolCalls: [{ name: 'current_time', arguments: '{}' }] }
  ground.upstream.plan = ({ model, messages }) => {
    const isAnswered = (messages as { role: string }[]).some(({ role }) => role === 'tool')
    return model === 'candidate' || !isAnswered ? call : { pieces: ['It is noon.'] }
  }
  const { runs } = await ground.talk('What time is it?', 'helper')
  assert.equal(runs.length, 1)
  const { comparison } = await ground.viewWhen(comparedTimes(1))
  assert.deepEqual([comparison?.served.finishes, comparison?.served.characters], [{ tool_calls: 1 }, 0])
  const once = { calls: 1, outcomes: { 'would-run': 1 }, arguments: {} }
  assert.deepEqual(comparison?.actions, [{ action: 'current_time', served: once, shadowed: once }])
  assert.equal(comparison?.overlap, null)
  assert.equal((await ground.client.call('GET', '/api/v1/runs')).body.items.length, 1, 'of its call there is no run')
})

test('the turn does not wait for its copy, and a copy that fails is no fault of what serves', async () => {
  await ground.start({ turns: 2 })
  ground.plans.candidate = { hang: true }
  assert.equal((await ground.talk()).status, 'completed')
  await ground.upstream.arrived(2)
  assert.equal(ground.copies().length, 1)
  ground.plans.candidate = { status: 500 }
  assert.equal((await ground.talk()).status, 'completed')
  const { comparison } = await ground.viewWhen(comparedTimes(1))
  assert.deepEqual(comparison?.shadowed.failures, { model_failed: 1 })
  assert.deepEqual(comparison?.served.finishes, { stop: 1 })
  const { items } = (await ground.client.call('GET', '/api/v1/models')).body
  assert.deepEqual(
    items.map(({ failures, circuit }: { failures: number; circuit: string }) => [failures, circuit]),
    [[0, 'closed']],
  )
})
