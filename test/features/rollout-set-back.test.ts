import assert from 'node:assert/strict'
import { cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import type { RolloutState } from '#config/rollout/state.ts'
import { lastStateKey } from '#config/rollout/store/keys.ts'
import {
  canary,
  failed,
  openRolloutGround,
  operator,
  ROUND_MS,
  type RolloutGround,
  type RolloutReplica,
} from '../support/rollouts-at-hand.ts'

const decision = (replica: RolloutReplica, take?: number) => ({
  reason: 'By mistake.',
  ifMatch: replica.rollouts.view().etag,
  ...(take !== undefined && { take }),
})

const fileOf = ({ folder }: RolloutGround) => path.join(folder, 'state.json')
const stored = async (ground: RolloutGround) => JSON.parse(await readFile(fileOf(ground), 'utf8')) as RolloutState

/** A copy of the state as it was before v2 was rolled back by hand, put back: as a person does who has kept one. */
async function setBack(ground: RolloutGround): Promise<{ replica: RolloutReplica; copy: RolloutState }> {
  const replica = await canary(ground)
  const copy = await readFile(fileOf(ground))
  await replica.rollouts.rollback(operator(), decision(replica))
  await writeFile(fileOf(ground), copy)
  await ground.pass(ROUND_MS)
  return { replica, copy: JSON.parse(copy.toString()) }
}

test('an older state that was put back is not followed: it is told of, and what is known stays', async () => {
  await using ground = await openRolloutGround()
  const { replica, copy } = await setBack(ground)
  await ground.pass(3 * ROUND_MS)
  const { epoch, live, diverged, reachable, unreadable } = replica.rollouts.view()
  assert.deepEqual([epoch, live, reachable, unreadable], [copy.epoch + 1, null, false, false])
  assert.deepEqual(diverged, {
    epoch: copy.epoch,
    at: copy.last.at,
    stable: copy.stable,
    candidate: copy.live?.candidate,
  })
  assert.deepEqual([...new Set(replica.heard.strays)], ['diverged'])
  assert.equal(replica.serving.assign('conv_1').cohort, '', 'nobody is drawn for what was rolled back')
  const told = ground.lines.filter(({ msg }) => `${msg}`.includes('was set back'))
  assert.deepEqual(
    told.map((line) => [line.level, line.epoch, line.known]),
    [[50, copy.epoch, copy.epoch + 1]],
    'said once',
  )
  const refused = { code: 'rollout_state_diverged' }
  const start = { version: 'v2', ifMatch: replica.rollouts.view().etag }
  await assert.rejects(replica.rollouts.start(operator(), start), refused)
  assert.deepEqual(await stored(ground), copy, 'nothing is written over it')
  await replica.close()
})

test('an operator restores what is known, and every replica goes on from it', async () => {
  await using ground = await openRolloutGround()
  const { replica, copy } = await setBack(ground)
  const other = await ground.replica()
  assert.equal(other.rollouts.view().diverged?.epoch, copy.epoch)
  const view = await other.rollouts.restore(operator(), decision(other))
  assert.deepEqual([view.diverged, view.live, view.epoch], [null, null, copy.epoch + 2])
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual([replica.rollouts.view().diverged, replica.rollouts.view().epoch], [null, copy.epoch + 2])
  const epochs = (await replica.rollouts.history(10)).map((line) => line.epoch)
  assert.deepEqual(
    epochs,
    epochs.map((_, back) => copy.epoch + 2 - back),
    'the history has no gap',
  )
  await assert.rejects(replica.rollouts.restore(operator(), decision(replica)), { code: 'rollout_state' })
  await Promise.all([replica.close(), other.close()])
})

test('an operator takes what is there, by its epoch: its candidate is paused, and resumes as a new rollout', async () => {
  await using ground = await openRolloutGround()
  const { replica, copy } = await setBack(ground)
  const other = await ground.replica()
  for (const epoch of [copy.epoch - 1, copy.epoch + 1]) {
    await assert.rejects(replica.rollouts.restore(operator(), decision(replica, epoch)), { code: 'rollout_state' })
  }
  const view = await replica.rollouts.restore(operator(), decision(replica, copy.epoch))
  assert.deepEqual([view.diverged, view.epoch, view.live?.status], [null, copy.epoch + 2, 'paused'])
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual(other.rollouts.view().live, view.live)
  const [line] = await other.rollouts.history(1)
  assert.deepEqual([line?.by, line?.from, line?.to, line?.reason], ['Olga', 'stable', 'paused', 'By mistake.'])
  const resumed = await other.rollouts.resume(operator(), decision(other))
  assert.deepEqual([resumed.live?.status, resumed.live?.step], ['canary', 0])
  assert.notEqual(resumed.live?.id, copy.live?.id, 'its counters do not say who was served meanwhile')
  await Promise.all([replica.close(), other.close()])
})

test('a replica that starts knows by the history that the state was set back; without one it takes what is there', async () => {
  await using ground = await openRolloutGround()
  const { replica, copy } = await setBack(ground)
  await replica.close()
  await ground.kv.delete(lastStateKey)
  const next = await ground.replica()
  assert.deepEqual([next.rollouts.view().diverged?.epoch, next.rollouts.view().epoch], [copy.epoch, copy.epoch + 1])
  assert.equal(next.rollouts.view().finished[0]?.outcome, 'rolled-back')
  await next.close()

  await rm(path.join(ground.folder, 'history'), { recursive: true })
  await ground.kv.delete(lastStateKey)
  const fresh = await ground.replica()
  assert.deepEqual([fresh.rollouts.view().diverged, fresh.rollouts.view().epoch], [null, copy.epoch])
  assert.equal(fresh.rollouts.view().live?.candidate.version, 'v2')
  await fresh.close()
})

test('a replica that had not heard of the last step finds it in the history before it writes another in its place', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const behind = await ground.replica()
  const copy = await readFile(fileOf(ground))
  const { etag, epoch } = behind.rollouts.view()
  await replica.rollouts.rollback(operator(), decision(replica))
  await replica.close()
  await writeFile(fileOf(ground), copy)
  const pause = behind.rollouts.pause(operator(), { reason: 'Lunch.', ifMatch: etag })
  await assert.rejects(pause, { code: 'rollout_state_diverged' })
  const { live, diverged, epoch: known } = behind.rollouts.view()
  assert.deepEqual([live, diverged?.epoch, known], [null, epoch, epoch + 1])
  const lines = (await readdir(path.join(ground.folder, 'history'))).length
  assert.equal(lines, epoch + 1)
  await behind.close()
})

test('a state of the same epoch that was changed by hand is not followed; one that was only laid out anew is', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const state = await stored(ground)
  await writeFile(fileOf(ground), JSON.stringify(state))
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual([replica.rollouts.view().diverged, replica.rollouts.view().reachable], [null, true])
  await writeFile(fileOf(ground), JSON.stringify({ ...state, stable: state.live?.candidate, live: null }))
  await ground.pass(2 * ROUND_MS)
  const { diverged, stable, live } = replica.rollouts.view()
  assert.deepEqual([diverged?.stable.version, stable.version, live?.candidate.version], ['v2', 'v1', 'v2'])
  assert.equal(replica.serving.stable().name, 'v1')
  const view = await replica.rollouts.restore(operator(), decision(replica, state.epoch))
  assert.deepEqual([view.stable.version, view.live, replica.serving.stable().name], ['v2', null, 'v2'])
  await replica.close()
})

test('a bad candidate takes itself back while the state is set back, and stays so whichever state counts then', async () => {
  for (const isTaken of [false, true]) {
    await using ground = await openRolloutGround()
    const replica = await canary(ground)
    const copy = await readFile(fileOf(ground))
    for (const decide of [replica.rollouts.pause, replica.rollouts.resume]) await decide(operator(), decision(replica))
    await writeFile(fileOf(ground), copy)
    await ground.pass(ROUND_MS)
    assert.equal(replica.rollouts.view().live?.status, 'canary')
    for (let n = 0; n < 4; n++) replica.converse({ arm: 'canary', ...failed })
    await ground.pass(2 * ROUND_MS)
    const { live, diverged } = replica.rollouts.view()
    assert.equal(live, null)
    const view = await replica.rollouts.restore(operator(), decision(replica, isTaken ? diverged?.epoch : undefined))
    await ground.pass(2 * ROUND_MS)
    assert.deepEqual([view.diverged, replica.rollouts.view().finished[0]?.outcome], [null, 'rolled-back'])
    assert.equal((await stored(ground)).live, null)
    await replica.close()
  }
})

test('what vanished is put back as the replica that wrote last has left it, by whichever finds it gone', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const behind = await ground.replica()
  await replica.rollouts.rollback(operator(), decision(replica))
  await rm(fileOf(ground))
  const { etag } = behind.rollouts.view()
  await assert.rejects(behind.rollouts.promote(operator(), { reason: '', ifMatch: etag }), { code: 'version_conflict' })
  assert.deepEqual([behind.rollouts.view().live, behind.rollouts.view().diverged], [null, null])
  assert.deepEqual((await stored(ground)).epoch, replica.rollouts.view().epoch)
  await Promise.all([replica.close(), behind.close()])
})

/** The container as it was before v2 was rolled back by hand, history and all, put back from a backup; the copy is newer. */
async function restored(ground: RolloutGround): Promise<RolloutState> {
  const replica = await canary(ground)
  const backup = `${ground.folder}-backup`
  await cp(ground.folder, backup, { recursive: true })
  await replica.rollouts.rollback(operator(), decision(replica))
  await replica.close()
  await rm(ground.folder, { recursive: true })
  await rename(backup, ground.folder)
  return stored(ground)
}

test('of a container that was put back whole, the copy is put right by whoever starts on it', async () => {
  await using ground = await openRolloutGround()
  const { epoch, live } = await restored(ground)
  const replica = await ground.replica()
  assert.deepEqual([replica.rollouts.view().epoch, replica.rollouts.view().diverged], [epoch, null])
  await ground.blobsAway()
  const next = await ground.replica()
  assert.deepEqual([next.rollouts.view().epoch, next.rollouts.view().live?.id], [epoch, live?.id])
  await ground.blobsBack()
  await Promise.all([replica.close(), next.close()])
})

test('who starts by the copy alone takes what the blob store has once it is back, and the copy is put right', async () => {
  await using ground = await openRolloutGround()
  const { epoch, live } = await restored(ground)
  await ground.blobsAway()
  const replica = await ground.replica()
  assert.deepEqual([replica.rollouts.view().epoch, replica.rollouts.view().live], [epoch + 1, null])
  await ground.blobsBack()
  const early = replica.rollouts.rollback(operator(), decision(replica))
  await assert.rejects(early, { code: 'version_conflict' }, 'nothing of the copy gets into the container')
  await ground.pass(2 * ROUND_MS)
  const { diverged, epoch: known, live: present } = replica.rollouts.view()
  assert.deepEqual([diverged, known, present?.id, replica.serving.candidate()?.name], [null, epoch, live?.id, 'v2'])
  assert.equal((await readdir(path.join(ground.folder, 'history'))).length, epoch)
  await ground.blobsAway()
  const next = await ground.replica()
  assert.equal(next.rollouts.view().epoch, epoch)
  await ground.blobsBack()
  await ground.pass(10 * ROUND_MS)
  await replica.rollouts.pause(operator(), decision(replica))
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual([next.rollouts.view().live?.status, next.rollouts.view().diverged], ['paused', null])
  await Promise.all([replica.close(), next.close()])
})

test('who starts by the copy alone does not follow what was set back meanwhile: the history has gone on from it', async () => {
  await using ground = await openRolloutGround()
  const { replica, copy } = await setBack(ground)
  await replica.close()
  await ground.blobsAway()
  const next = await ground.replica()
  await ground.blobsBack()
  await ground.pass(2 * ROUND_MS)
  const { diverged, epoch, live } = next.rollouts.view()
  assert.deepEqual([diverged?.epoch, epoch, live], [copy.epoch, copy.epoch + 1, null])
  await next.close()
})

test('a state of another place, whose epoch is higher, is not followed: no history leads to it', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const own = await stored(ground)
  const other = { version: 'v031', hash: 'hash-of-v031' }
  const foreign = { ...own, epoch: 57, stable: other, live: null, last: { ...own.last, epoch: 57 } }
  await writeFile(fileOf(ground), JSON.stringify(foreign))
  await ground.pass(2 * ROUND_MS)
  ground.push('v3')
  await ground.kv.delete(lastStateKey)
  const next = await ground.replica()
  for (const { rollouts, serving } of [replica, next]) {
    const { epoch, diverged, live } = rollouts.view()
    assert.deepEqual([epoch, diverged?.epoch, live?.candidate.version], [own.epoch, 57, 'v2'])
    assert.equal(serving.stable().name, 'v1', 'not the newest, which nothing speaks for')
  }
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual(await stored(ground), foreign, 'nothing is written over it')
  const told = ground.lines.filter(({ msg }) => `${msg}`.includes('does not follow from its history'))
  assert.deepEqual(
    told.map(({ epoch, known }) => [epoch, known]),
    [
      [57, own.epoch],
      [57, own.epoch],
    ],
    'once by each',
  )
  const view = await next.rollouts.restore(operator(), decision(next))
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual([view.diverged, view.epoch, replica.rollouts.view().epoch], [null, own.epoch + 1, own.epoch + 1])
  assert.equal(replica.rollouts.view().live?.id, own.live?.id)
  await Promise.all([replica.close(), next.close()])
})

test('a replica that was away for several steps follows them; where the history was cleared away, too', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const behind = await ground.replica()
  for (const decide of [replica.rollouts.pause, replica.rollouts.resume, replica.rollouts.pause]) {
    await decide(operator(), decision(replica))
  }
  const { epoch } = replica.rollouts.view()
  await rm(path.join(ground.folder, 'history'), { recursive: true })
  await ground.pass(2 * ROUND_MS)
  assert.deepEqual([behind.rollouts.view().epoch, behind.rollouts.view().diverged], [epoch, null])
  const next = await ground.replica()
  assert.deepEqual([next.rollouts.view().epoch, next.rollouts.view().diverged], [epoch, null])
  await Promise.all([replica.close(), behind.close(), next.close()])
})
