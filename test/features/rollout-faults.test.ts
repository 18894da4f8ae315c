import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { createCounterStore } from '#config/rollout/store/counter-store.ts'
import { ParleyError } from '#errors.ts'
import { FolderBlobStore } from '#platform/blob/folder.ts'
import { failed, openRolloutGround, operator, ROUND_MS, type RolloutGround } from '../support/rollouts-at-hand.ts'

const MINUTE = 60_000

async function canary(ground: RolloutGround, blobs = ground.blobs) {
  ground.push('v1')
  const replica = await ground.replica({ blobs })
  ground.push('v2')
  await ground.pass(ROUND_MS)
  return replica
}

test('with the blob store away and no copy of the state, nobody starts', async () => {
  await using ground = await openRolloutGround()
  ground.push('v1')
  await ground.blobsAway()
  await assert.rejects(ground.replica(), { code: 'blob_unavailable' })
})

test('a replica that starts while the blob store is away serves by the copy, not by what is newest', async () => {
  await using ground = await openRolloutGround()
  const first = await canary(ground)
  for (let n = 0; n < 3; n++) first.converse({ arm: 'canary', ...failed })
  await ground.pass(2 * ROUND_MS)
  await first.close()
  await ground.blobsAway()
  const second = await ground.replica()
  assert.equal(second.serving.stable().name, 'v1')
  assert.deepEqual([second.rollouts.view().reachable, second.rollouts.view().leader], [false, false])
  await ground.blobsBack()
  await ground.pass(10 * ROUND_MS)
  assert.deepEqual([second.rollouts.view().reachable, second.rollouts.view().leader], [true, true])
  await second.close()
})

test('with the blob store away for an hour the canary is served on, does not advance, and then goes on', async () => {
  await using ground = await openRolloutGround({ env: { trialClosesMs: 0 } })
  ground.push('v1')
  const replica = await ground.replica()
  for (let n = 0; n < 250; n++) replica.converse()
  await ground.pass(ROUND_MS)
  ground.push('v2')
  await ground.pass(ROUND_MS)
  await ground.blobsAway()
  for (let n = 0; n < 80; n++) replica.converse({ arm: 'canary' })
  await ground.pass(60 * MINUTE, MINUTE)
  const { live, verdict, reachable } = replica.rollouts.view()
  assert.deepEqual([live?.step, verdict.decision, reachable], [0, 'advance', false])
  const decided = replica.rollouts.promote(operator(), { reason: '', ifMatch: replica.rollouts.view().etag })
  await assert.rejects(decided, { code: 'blob_unavailable' })
  await ground.blobsBack()
  await ground.passUntil(() => replica.rollouts.view().live?.step === 1)
  assert.equal((await replica.rollouts.history(1))[0]?.from, 'canary 1/2 (5 %)')
  await replica.close()
})

test('with the blob store away a rollback reaches every replica through the live state, and the blob once it is back', async () => {
  await using ground = await openRolloutGround()
  const one = await canary(ground)
  const two = await ground.replica()
  await ground.blobsAway()
  for (let n = 0; n < 3; n++) one.converse({ arm: 'canary', ...failed })
  await ground.pass(3 * ROUND_MS)
  for (const { rollouts, serving } of [one, two]) {
    assert.deepEqual([rollouts.view().live, rollouts.view().reachable], [null, false])
    assert.equal(rollouts.view().finished[0]?.outcome, 'rolled-back')
    assert.equal(serving.assign('conv_1').cohort, '')
  }
  const moved = () => [one, two].map(({ heard }) => heard.moved.at(-1))
  assert.deepEqual(moved(), ['rolled-back', 'rolled-back'], 'nobody has to wait for the store to hear of it')
  const third = await ground.replica()
  assert.equal(third.rollouts.view().live, null, 'who starts now holds to the order, too')
  await ground.blobsBack()
  await ground.pass(5 * ROUND_MS)
  const [line] = await two.rollouts.history(1)
  assert.deepEqual([line?.to, line?.candidate, line?.by], ['rolled-back', 'v2', 'system'])
  assert.equal(new Set([one, two, third].map(({ rollouts }) => rollouts.view().epoch)).size, 1)
  const written = [one, two, third].flatMap(({ heard }) => heard.steps.filter((to) => to === 'rolled-back'))
  assert.equal(written.length, 1)
  await Promise.all([one.close(), two.close(), third.close()])
})

test('a step whose write was not answered is known to be written once it is found there', async () => {
  await using ground = await openRolloutGround()
  const blobs = new FolderBlobStore({ root: ground.folder, clock: ground.clock, log: ground.log })
  const put = blobs.put.bind(blobs)
  let isSilent = false
  blobs.put = async (name, bytes, condition) => {
    const written = await put(name, bytes, condition)
    if (name === 'state.json' && isSilent) throw new ParleyError('blob_unavailable')
    return written
  }
  const replica = await canary(ground, blobs)
  const { steps, moved } = replica.heard
  const from = steps.length
  isSilent = true
  const pause = { reason: '', ifMatch: replica.rollouts.view().etag }
  await assert.rejects(replica.rollouts.pause(operator(), pause), { code: 'blob_unavailable' })
  isSilent = false
  await ground.pass(3 * ROUND_MS)
  assert.deepEqual([steps.slice(from), moved.at(-1)], [['paused'], 'paused'])
  await replica.close()
})

test('a step right after a rollback that could not be written leaves that out of no history', async () => {
  await using ground = await openRolloutGround()
  const blobs = new FolderBlobStore({ root: ground.folder, clock: ground.clock, log: ground.log })
  const put = blobs.put.bind(blobs)
  let failures = 0
  blobs.put = async (name, bytes, condition) => {
    if (name === 'state.json' && failures-- > 0) throw new ParleyError('blob_unavailable')
    return put(name, bytes, condition)
  }
  const replica = await canary(ground, blobs)
  failures = Number.POSITIVE_INFINITY
  for (let n = 0; n < 4; n++) replica.converse({ arm: 'canary', ...failed })
  await ground.pass(ROUND_MS)
  const { live, epoch, etag: ifMatch } = replica.rollouts.view()
  assert.equal(live, null)
  failures = 1
  const { epoch: next } = await replica.rollouts.start(operator(), { version: 'v2', ifMatch })
  assert.equal(next, epoch + 1)
  const [started, rolledBack] = await replica.rollouts.history(2)
  assert.deepEqual([started?.epoch, rolledBack?.epoch, rolledBack?.to], [epoch + 1, epoch, 'rolled-back'])
  await replica.close()
})

test('a replica that begins tells of the last step once more: whoever took it may not have lived to', async () => {
  await using ground = await openRolloutGround()
  const one = await canary(ground)
  await one.rollouts.pause(operator(), { reason: '', ifMatch: one.rollouts.view().etag })
  one.kill()
  const next = await ground.replica()
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual([next.heard.moved.at(-1), next.heard.steps], ['paused', []])
  await ground.pass(60_000)
  const { length } = next.heard.moved
  await ground.pass(10 * ROUND_MS)
  assert.equal(next.heard.moved.length, length, 'not for ever')
  await next.close()
})

test('an operator rolls back while the blob store is away', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  await ground.blobsAway()
  const { etag } = replica.rollouts.view()
  const view = await replica.rollouts.rollback(operator(), { reason: 'Bad.', ifMatch: etag })
  assert.deepEqual([view.live, view.stable.version], [null, 'v1'])
  await ground.blobsBack()
  await ground.pass(5 * ROUND_MS)
  const [line] = await replica.rollouts.history(1)
  assert.deepEqual([line?.to, line?.by, line?.reason], ['rolled-back', 'Olga', 'Bad.'])
  await replica.close()
})

test('lost counters pause the rollout, nobody new is assigned, and it resumes as a new one', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const pinned = replica.converse({ arm: 'canary' })
  await ground.pass(ROUND_MS)
  const before = replica.rollouts.view().live
  await forget(ground, before?.id)
  await ground.pass(2 * ROUND_MS)
  const { live, etag } = replica.rollouts.view()
  assert.deepEqual([live?.status, live?.paused?.cause], ['paused', 'counters-lost'])
  assert.equal(replica.serving.assign('conv_1').cohort, '')
  const view = await replica.rollouts.resume(operator(), { reason: 'Again.', ifMatch: etag })
  assert.deepEqual([view.live?.status, view.live?.step], ['canary', 0])
  assert.notEqual(view.live?.id, before?.id)
  const { config, arm, cohort } = pinned
  const pin = { config: config.name, arm, cohort }
  assert.equal(replica.serving.resolve(pin).config.name, 'v1', 'units of the old one go back to stable')
  await replica.close()
})

/** As after FLUSHALL: of the rollout's counters nothing is left. */
async function forget({ kv }: RolloutGround, rollout = ''): Promise<void> {
  const { counterKeys } = await import('#config/rollout/store/keys.ts')
  await kv.delete(counterKeys(rollout).counts)
}

test('a crash between the state and its line in the history leaves no gap', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  await replica.close()
  await rm(path.join(ground.folder, 'history', '000000002.json'))
  const next = await ground.replica()
  assert.equal((await next.rollouts.history(1))[0]?.epoch, 2)
  await next.rollouts.pause(operator(), { reason: 'Lunch.', ifMatch: next.rollouts.view().etag })
  assert.deepEqual(
    (await next.rollouts.history(5)).map(({ epoch }) => epoch),
    [3, 2, 1],
  )
  await next.close()
})

test('a state that is gone or cannot be read replaces nothing', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const file = path.join(ground.folder, 'state.json')
  const { epoch } = replica.rollouts.view()
  await writeFile(file, '{"epoch": 7')
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual([replica.rollouts.view().epoch, replica.rollouts.view().reachable], [epoch, false])
  await rm(file)
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual([replica.rollouts.view().epoch, replica.rollouts.view().reachable], [epoch, true])
  await replica.rollouts.pause(operator(), { reason: '', ifMatch: replica.rollouts.view().etag })
  await replica.close()
})

test('a stable version that is not at hand is not replaced by what is newest', async () => {
  await using ground = await openRolloutGround({ env: { floors: [], starts: 'by-hand' } })
  ground.push('v1')
  const replica = await ground.replica()
  ground.push('v2')
  const start = (version: string) =>
    replica.rollouts.start(operator(), { version, ifMatch: replica.rollouts.view().etag })
  await start('v2')
  ground.push('v3')
  ground.push('v2', { hash: 'other-bytes' })
  await ground.pass(ROUND_MS)
  assert.equal(replica.serving.stable().hash, 'hash-of-v2', 'it stays in memory')
  const next = await ground.replica()
  assert.equal(next.serving.stable().name, 'v1', 'where it is not, what was stable before')
  await Promise.all([replica.close(), next.close()])
})

test('a rollback that was ordered while its version became stable is heard before the next one begins', async () => {
  await using ground = await openRolloutGround({ env: { floors: [{ weight: 50, conversations: 1 }] } })
  const counters = createCounterStore(ground.kv, { trialClosesMs: 0 })
  const order = (rollout: string) => ({ rollout, by: 'system', operator: null, reason: '', evidence: null, at: 1 })
  const blobs = new FolderBlobStore({ root: ground.folder, clock: ground.clock, log: ground.log })
  const put = blobs.put.bind(blobs)
  // Another replica orders it in the moment between the leader's look and its write.
  blobs.put = async (name, bytes, condition) => {
    const { finished = [] } = name === 'state.json' ? JSON.parse(Buffer.from(bytes).toString()) : {}
    if (finished[0]?.outcome === 'stable' && finished.length === 1) await counters.order(order(finished[0].id))
    return put(name, bytes, condition)
  }
  ground.push('v1')
  const leader = await ground.replica({ blobs })
  ground.push('v2')
  await ground.pass(ROUND_MS)
  const promote = () => leader.rollouts.promote(operator(), { reason: '', ifMatch: leader.rollouts.view().etag })
  await promote()
  ground.push('v3')
  assert.equal(leader.rollouts.view().live?.status, 'baking')
  await ground.pass(910_000, 10_000)
  const { live, stable, finished } = leader.rollouts.view()
  assert.deepEqual([stable.version, live?.candidate.version], ['v1', 'v3'])
  assert.deepEqual(
    finished.map(({ outcome }) => outcome),
    ['rolled-back'],
  )
  await leader.close()
})

test('a new replica asks for a stable version that has become an old one, before it serves another', async () => {
  await using ground = await openRolloutGround({ env: { starts: 'by-hand' } })
  ground.push('v1')
  const first = await ground.replica()
  await first.close()
  ground.push('v1', { isOld: true })
  ground.push('v2')
  const next = await ground.replica()
  assert.equal(next.serving.stable().name, 'v1')
  await next.close()
})

test('a state that was taken away while no replica was there is put back from its copy; that of another journey is not', async () => {
  await using ground = await openRolloutGround()
  const first = await canary(ground)
  for (let n = 0; n < 3; n++) first.converse({ arm: 'canary', ...failed })
  await ground.pass(2 * ROUND_MS)
  const before = first.rollouts.view()
  await first.close()
  await rm(path.join(ground.folder, 'state.json'))
  const second = await ground.replica()
  assert.equal(second.serving.stable().name, 'v1', 'not what was rolled back, though it is the newest')
  assert.deepEqual([second.rollouts.view().epoch, second.rollouts.view().finished], [before.epoch, before.finished])
  await second.close()
  for (const gone of ['state.json', 'history']) await rm(path.join(ground.folder, gone), { recursive: true })
  const third = await ground.replica()
  assert.deepEqual([third.serving.stable().name, third.rollouts.view().epoch], ['v2', 1])
  await third.close()
})
