import assert from 'node:assert/strict'
import { after, afterEach, test } from 'node:test'
import { comparedTimes, shadowAtHand } from '../support/shadow-at-hand.ts'

let isLoaded = false
const ground = await shadowAtHand({
  // Free to ask, and 250 tokens of an answer at 4,000 USD a million: at most a dollar.
  candidate: { contextWindow: 1000, price: { input: 0, output: 4000 } },
  document: ({ routes, models, ...given }) => ({
    ...given,
    models: { tried: models.only ?? assert.fail() },
    routes: { default: { ...routes.default, models: ['tried'] } },
  }),
  isLoaded: () => isLoaded,
})
after(() => ground[Symbol.asyncDispose]())
afterEach(async () => {
  await ground.end()
  isLoaded = false
})

test('nothing is copied without consent', async () => {
  await ground.start()
  await ground.talk()
  const { comparison } = await ground.viewWhen((view) => view.comparison?.skipped['no-consent'] === 1)
  assert.deepEqual(comparison?.turns, { taken: 0, compared: 0, lost: 0 })
  assert.equal(ground.copies().length, 0)
})

test('a copy that is under way ends when its person withdraws, and is not compared', async () => {
  await ground.consent()
  await ground.start()
  ground.plans.candidate = { tokens: 100, pace: 0.1 }
  await ground.talk()
  const copy = await ground.upstream.arrived(2)
  await ground.consent(false)
  await copy.closed
  assert.notEqual(copy.abortedAt, undefined)
  const { comparison } = await ground.viewWhen((view) => view.comparison?.costUsd.held === 0)
  assert.deepEqual(comparison?.turns, { taken: 1, compared: 0, lost: 0 })
})

test('as many turns are copied as were given, and not one more', async () => {
  await ground.consent()
  await ground.start({ turns: 2 })
  await ground.talk()
  await ground.viewWhen(comparedTimes(1))
  await ground.talk()
  const ended = await ground.viewWhen(({ live }) => live === null)
  assert.deepEqual([ended.finished[0]?.ended, ended.finished[0]?.version], ['turns', 'v2'])
  assert.equal(ended.comparison?.turns.compared, 2, 'its figures are kept')
  await ground.talk()
  assert.equal(ground.copies().length, 2)
})

test('the budget holds for what a copy may come to, to the edge', async () => {
  await ground.consent()
  // An answer of two tokens costs 0.008, so with this a second fits exactly, and a third would not.
  await ground.start({ budgetUsd: 1.008 })
  await ground.talk()
  await ground.viewWhen(comparedTimes(1))
  await ground.talk()
  const two = await ground.viewWhen(comparedTimes(2))
  assert.equal(two.comparison?.costUsd.spent, 0.016)
  await ground.talk()
  const { finished, comparison } = await ground.viewWhen(({ live }) => live === null)
  assert.deepEqual([finished[0]?.ended, comparison?.turns.taken], ['budget', 2])
  assert.equal(ground.copies().length, 2)
})

test('a copy that would go past the budget is not made', async () => {
  await ground.consent()
  await ground.start({ budgetUsd: 0.999 })
  await ground.talk()
  const { finished, comparison } = await ground.viewWhen(({ live }) => live === null)
  assert.deepEqual([finished[0]?.ended, comparison?.turns.taken], ['budget', 0])
  assert.equal(ground.copies().length, 0)
})

test('two copies are under way at most; who stops gives them up, and what serves goes on', async () => {
  await ground.consent()
  await ground.start()
  ground.plans.candidate = { hang: true }
  for (let turn = 0; turn < 3; turn++) assert.equal((await ground.talk()).status, 'completed')
  await ground.viewWhen((view) => (view.comparison?.skipped.busy ?? 0) === 1)
  await ground.viewWhen((view) => view.comparison?.turns.taken === 2)
  const path = '/api/v1/config/shadow/stop'
  const { etag } = await ground.view()
  const stopped = await ground.client.call('POST', path, { reason: 'Seen enough.' }, { 'if-match': `"${etag}"` })
  assert.deepEqual([stopped.status, stopped.body.live], [200, null])
  assert.match(stopped.body.finished[0].reason, /: Seen enough\.$/)
  await Promise.all(ground.copies().map(({ closed }) => closed))
  const { comparison } = await ground.viewWhen((view) => view.comparison?.costUsd.held === 0)
  assert.deepEqual(comparison?.turns, { taken: 2, compared: 0, lost: 0 })
})

test('a kill-switch on its model ends copies too', async () => {
  await ground.consent()
  await ground.start()
  const scope = encodeURIComponent('model:tried')
  const set = await ground.client.call('PUT', `/api/v1/kill-switches/${scope}`, { reason: 'Too dear.' })
  assert.ok(set.status < 300, JSON.stringify(set.body))
  assert.equal((await ground.talk()).status, 'completed')
  await ground.viewWhen((view) => view.comparison?.skipped.stopped === 1)
  assert.equal(ground.copies().length, 0)
  await ground.client.call('DELETE', `/api/v1/kill-switches/${scope}`)
})

test('a replica that has enough to do copies nothing', async () => {
  isLoaded = true
  await ground.consent()
  await ground.start()
  assert.equal((await ground.talk()).status, 'completed')
  await ground.viewWhen((view) => view.comparison?.skipped.loaded === 1)
  assert.equal(ground.copies().length, 0)
})
