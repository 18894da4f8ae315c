import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PassingError } from '../../../src/actions/executors/executor.ts'
import type { RunStatus } from '../../../src/actions/port.ts'
import { pruneRuns } from '../../../src/actions/runs/prune.ts'
import { actionSpec, callOf, type Ground, person, settledRun, until, versionOf } from '../../support/runs-at-hand.ts'

const specs = {
  do_it: actionSpec('do', { access: 'write', effect: 'idempotent', undo: { action: 'undo_it', arguments: {} } }),
  undo_it: actionSpec('undo', { access: 'write', effect: 'idempotent', undo: { action: 'do_it', arguments: {} } }),
  fail_it: actionSpec('fail', { retries: 0 }),
  ask_first: actionSpec('do', { approval: {} }),
}
const admin = person('root', ['Admin', 'Action.Approver'])
const DAY = 24 * 60 * 60_000

/** Runs that are past their time. */
export function pruningSuite(ground: () => Ground): void {
  const functions = {
    do: () => 'done',
    undo: () => 'undone',
    fail: () => {
      throw new PassingError('Away.', { reason: 'server_error' })
    },
  }
  const replica = () => ground().actions({ actions: specs, functions })
  /** All that may go, goes; what is left of these. */
  async function prune(before: number, ids: readonly string[]): Promise<string[]> {
    while ((await pruneRuns(ground().sql, before)) > 0);
    const found = await ground().sql.query<{ id: string }>('system', 'SELECT id FROM runs WHERE id = ANY($1::text[])', [
      ids,
    ])
    const left = new Set(found.map(({ id }) => id))
    return ids.filter((id) => left.has(id))
  }
  /** Whatever was made by now, and has come to rest by now. */
  const fromNow = () => Date.now() + 1
  const age = (id: string, ms: number) =>
    ground().sql.query('system', 'UPDATE runs SET settled_at = settled_at + $2::bigint WHERE id = $1', [id, ms])

  test('what came to rest before its time goes, with attempts and reports; what waits, for whatever, stays', async () => {
    await using actions = replica()
    const ask = (action: string) => actions.dispatch(callOf(versionOf(specs), action))
    const [done, younger, dead, asked] = await Promise.all(['do_it', 'do_it', 'fail_it', 'ask_first'].map(ask))
    assert.ok(done && younger && dead && asked)
    const statuses: RunStatus[] = []
    for (const run of [done, younger, dead]) statuses.push((await settledRun(actions, run)).status)
    assert.deepEqual([...statuses, asked.status], ['succeeded', 'succeeded', 'dead-lettered', 'awaiting-approval'])
    const unknown = await ask('do_it')
    await settledRun(actions, unknown)
    await ground().sql.query('system', `UPDATE runs SET status = 'unknown' WHERE id = $1`, [unknown.id])
    await age(younger.id, DAY)
    const reported = `INSERT INTO follow_ups (run, version, tenant, turn) SELECT id, version, tenant, turn FROM runs WHERE id = $1`
    await ground().sql.query('system', reported, [done.id])

    const all = [done, younger, dead, asked, unknown].map(({ id }) => id)
    const { settledAt } = await actions.get(person('ada'), done.id)
    assert.ok(settledAt !== null)
    assert.deepEqual(await prune(settledAt, [done.id]), [done.id])
    assert.deepEqual(await prune(settledAt + 1, [done.id]), [])
    assert.deepEqual(await prune(fromNow(), all), [younger.id, dead.id, asked.id, unknown.id])
    for (const table of ['attempts', 'follow_ups']) {
      assert.deepEqual(await ground().sql.query('system', `SELECT run FROM ${table} WHERE run = $1`, [done.id]), [])
    }
    await assert.rejects(actions.get(person('ada'), done.id), { code: 'run_not_found' })
    await actions.discard(admin, dead.id, 'Nobody wants it.')
    await actions.settle(admin, unknown.id, { status: 'succeeded', note: 'It is there.' })
    await actions.reject(admin, asked.id, 'No.')
    assert.deepEqual(await prune(fromNow(), all), [younger.id])
  })

  test('what was undone stays as long as its undoing does, and goes before it: it is never to be undone again', async () => {
    await using actions = replica()
    const run = await actions.dispatch(callOf(versionOf(specs), 'do_it'))
    await settledRun(actions, run)
    const undone = async (id: string) => {
      const undoing = await actions.undo(person('ada'), id, undefined)
      await until(async () => (await actions.get(person('ada'), undoing.id)).status === 'succeeded')
      return undoing.id
    }
    const undoing = await undone(run.id)
    const redoing = await undone(undoing)
    const all = [run.id, undoing, redoing]
    await age(redoing, DAY)
    assert.deepEqual(await prune(fromNow(), all), [undoing, redoing])
    await age(redoing, -DAY)
    assert.deepEqual(await prune(fromNow(), all), [])

    const [first, second] = [
      await actions.dispatch(callOf(versionOf(specs), 'do_it')),
      await actions.dispatch(callOf(versionOf(specs), 'do_it')),
    ]
    for (const each of [first, second]) await settledRun(actions, each)
    const [kept, lost] = [await undone(first.id), await undone(second.id)]
    await age(kept, DAY)
    await ground().sql.query('system', `UPDATE runs SET status = 'dead-lettered' WHERE id = $1`, [lost])
    const both = [first.id, kept, second.id, lost]
    assert.deepEqual(await prune(fromNow(), both), both)
    await ground().sql.query('system', `UPDATE runs SET status = 'succeeded' WHERE id = $1`, [lost])
    // Only the run that was undone is of before.
    await age(second.id, -DAY)
    assert.deepEqual(await prune(Date.now() - DAY / 2, both), both)
    await ground().sql.query('system', 'DELETE FROM runs WHERE id = ANY($1::text[])', [both])
  })
}
