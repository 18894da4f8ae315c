import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
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

/** What is no state, each by something that happens to files. */
const unreadable = {
  'cut off': '{"epoch": 7, "stable": {"version": "v1"',
  empty: '',
  binary: Buffer.from([0, 255, 254, 1, 2, 3]),
  'something else': '{"epoch":7,"stable":{},"finished":[],"live":null,"last":{}}',
} as const

const decision = (replica: RolloutReplica) => ({ reason: 'Damaged.', ifMatch: replica.rollouts.view().etag })

async function damage(ground: RolloutGround, content: string | Uint8Array): Promise<void> {
  await writeFile(path.join(ground.folder, 'state.json'), content)
  await ground.pass(2 * ROUND_MS)
}

for (const [what, content] of Object.entries(unreadable)) {
  test(`a state that is ${what}: all goes on as it was, nobody decides, and an operator puts it right`, async () => {
    await using ground = await openRolloutGround()
    const replica = await canary(ground)
    const other = await ground.replica()
    const before = replica.rollouts.view()
    await damage(ground, content)
    for (const one of [replica, other]) {
      const { unreadable: isUnreadable, live, epoch } = one.rollouts.view()
      assert.deepEqual([isUnreadable, live?.id, epoch], [true, before.live?.id, before.epoch])
      assert.deepEqual([...new Set(one.heard.strays)], ['unreadable'])
    }
    assert.equal(replica.converse({ arm: 'canary' }).config.name, 'v2')
    const refused = { code: 'rollout_state_unreadable' }
    await assert.rejects(replica.rollouts.pause(operator(), decision(replica)), refused)
    await assert.rejects(other.rollouts.promote(operator(), decision(other)), refused)
    const stale = { reason: '', ifMatch: 'another' }
    await assert.rejects(replica.rollouts.restore(operator(), stale), { code: 'version_conflict' })
    await assert.rejects(replica.rollouts.restore(operator('Eve', []), decision(replica)), { code: 'forbidden' })

    const view = await other.rollouts.restore(operator(), decision(other))
    assert.deepEqual([view.unreadable, view.epoch, view.live?.id], [false, before.epoch + 1, before.live?.id])
    await ground.pass(2 * ROUND_MS)
    assert.deepEqual(replica.rollouts.view().etag, view.etag)
    const [line] = await replica.rollouts.history(1)
    assert.deepEqual([line?.by, line?.reason, line?.from], ['Olga', 'Damaged.', line?.to])
    await assert.rejects(replica.rollouts.restore(operator(), decision(replica)), { code: 'rollout_state' })
    assert.equal((await replica.rollouts.pause(operator(), decision(replica))).live?.status, 'paused')
    await Promise.all([replica.close(), other.close()])
  })

  test(`a replica that starts on a state that is ${what} serves by what the history ends with, and puts it right`, async () => {
    await using ground = await openRolloutGround()
    const replica = await canary(ground)
    const before = replica.rollouts.view()
    await replica.close()
    await writeFile(path.join(ground.folder, 'state.json'), content)
    await ground.kv.delete(lastStateKey)
    const next = await ground.replica()
    assert.deepEqual([next.rollouts.view().unreadable, next.rollouts.view().epoch], [true, before.epoch])
    assert.deepEqual(next.rollouts.view().live, before.live)
    assert.equal(next.converse({ arm: 'canary' }).config.name, 'v2')
    const view = await next.rollouts.restore(operator(), decision(next))
    assert.deepEqual([view.unreadable, view.live?.candidate.version], [false, 'v2'])
    await next.close()
  })
}

test('a bad candidate is rolled back while the state cannot be read, and written once that is restored', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  await damage(ground, unreadable['cut off'])
  for (let n = 0; n < 4; n++) replica.converse({ arm: 'canary', ...failed })
  await ground.pass(2 * ROUND_MS)
  assert.equal(replica.rollouts.view().live, null)
  await replica.rollouts.restore(operator(), decision(replica))
  const stored = JSON.parse(await readFile(path.join(ground.folder, 'state.json'), 'utf8'))
  assert.deepEqual([stored.live, stored.finished[0].outcome], [null, 'rolled-back'])
  const [last, before] = await replica.rollouts.history(2)
  assert.deepEqual([last?.to, last?.by, last?.epoch], ['rolled-back', 'system', stored.epoch])
  assert.deepEqual([before?.from, before?.to, before?.reason], ['canary 1/2 (5 %)', 'canary 1/2 (5 %)', 'Damaged.'])
  await replica.close()
})

test('of two who restore at once one is told that the other was first', async () => {
  await using ground = await openRolloutGround()
  const replicas = [await canary(ground), await ground.replica()]
  await damage(ground, unreadable.empty)
  const all = await Promise.allSettled(replicas.map((one) => one.rollouts.restore(operator(), decision(one))))
  const codes = all.map((one) => (one.status === 'rejected' ? one.reason.code : 'restored')).sort()
  assert.equal(codes[0], 'restored')
  assert.ok(['version_conflict', 'rollout_state'].includes(codes[1]), codes[1])
  await Promise.all(replicas.map((one) => one.close()))
})

test('what another replica wrote last is restored by one that had not heard of it', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const other = await ground.replica()
  await other.rollouts.pause(operator(), { reason: 'Lunch.', ifMatch: other.rollouts.view().etag })
  await other.close()
  await writeFile(path.join(ground.folder, 'state.json'), 'x')
  const { etag } = replica.rollouts.view()
  const view = await replica.rollouts.restore(operator(), { reason: 'Damaged.', ifMatch: etag })
  assert.deepEqual([view.live?.status, view.live?.paused?.reason], ['paused', 'Lunch.'])
  await replica.close()
})

test('where nobody knows what it was, nobody starts, and the refusal says what can be done', async () => {
  await using ground = await openRolloutGround()
  await (await canary(ground)).close()
  await ground.kv.delete(lastStateKey)
  await rm(path.join(ground.folder, 'history'), { recursive: true })
  await writeFile(path.join(ground.folder, 'state.json'), '')
  await assert.rejects(ground.replica(), { code: 'rollout_state_unreadable', message: /Put a copy of it back/ })
  assert.deepEqual(await readdir(ground.folder).then((names) => names.includes('state.json')), true)
})

test('a copy that is put back as the refusal says is served, and counts once an operator takes it by its epoch', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const state = path.join(ground.folder, 'state.json')
  const copy = await readFile(state)
  await replica.rollouts.pause(operator(), decision(replica))
  await replica.close()
  await ground.kv.delete(lastStateKey)
  // As releases left it whose lines did not have the state.
  const history = path.join(ground.folder, 'history')
  for (const name of await readdir(history)) {
    const { state: _, ...line } = JSON.parse(await readFile(path.join(history, name), 'utf8'))
    await writeFile(path.join(history, name), JSON.stringify(line))
  }
  await writeFile(state, '')
  await assert.rejects(ground.replica(), { code: 'rollout_state_unreadable', message: /config restore --take/ })
  await writeFile(state, copy)
  const next = await ground.replica()
  const { diverged, live, epoch } = next.rollouts.view()
  assert.deepEqual([diverged?.epoch, live?.status, epoch], [epoch, 'canary', JSON.parse(copy.toString()).epoch])
  const view = await next.rollouts.restore(operator(), { ...decision(next), take: epoch })
  assert.deepEqual([view.diverged, view.live?.status, view.epoch], [null, 'paused', epoch + 2])
  await next.close()
})

test('the history shows no salt, by which whoever knows it could choose an arm', async () => {
  await using ground = await openRolloutGround()
  const replica = await canary(ground)
  const lines = await replica.rollouts.history(10)
  assert.ok(lines.length > 1)
  assert.ok(!JSON.stringify(lines).includes('salt'))
  await replica.close()
})
