import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Executor } from '../../../src/actions/executors/executor.ts'
import { ParleyError } from '../../../src/errors.ts'
import { systemClock } from '../../../src/platform/clock.ts'
import type { Queue } from '../../../src/platform/queue/queue.ts'
import type { Sql } from '../../../src/platform/sql/sql.ts'
import {
  actionSpec,
  callOf,
  deafQueue,
  type Ground,
  hurry,
  person,
  settledRun,
  until,
  versionOf,
} from '../../support/runs-at-hand.ts'
import { ScriptedServing } from '../../support/scripted-serving.ts'

const single = { do_it: actionSpec('do', { retries: 0 }) }
const DAY = 24 * 60 * 60_000

/** Runs that need what is away for a while, and are not to suffer for that. */
export function outOfReachSuite(ground: () => Ground): void {
  /** A version that cannot be looked for while `isAway`, but for the next `found` times. */
  function versions() {
    const version = versionOf(single)
    const serving = new ScriptedServing(version)
    const get = serving.get.bind(serving)
    const store = { isAway: true, looks: 0, found: 0 }
    serving.get = (name) => {
      store.looks += 1
      if (store.isAway && store.found === 0) throw new ParleyError('blob_unavailable')
      store.found = Math.max(0, store.found - 1)
      return get(name)
    }
    return { version, serving, store }
  }

  const rowOf = async (id: string) => {
    const [row] = await ground().sql.query<{ status: string; attempt: number; since: number | null }>(
      'system',
      'SELECT status, attempt, held_since AS since FROM runs WHERE id = $1',
      [id],
    )
    assert.ok(row)
    return row
  }
  /** Nothing comes of what is scheduled: until somebody hurries it, a run that is to be retried rests for seconds. */
  function unscheduled(onHandled: (id: string) => void = () => {}): Queue {
    const { queue } = ground()
    return {
      ...deafQueue(queue),
      send: (messages) => queue.send(messages),
      receive: (handler, options) =>
        queue.receive((delivery) => handler(delivery).finally(() => onHandled(delivery.id)), options),
    }
  }
  /** The row of a run that is to be retried; undefined while it is anything else. */
  const heldRow = async (id: string) => {
    const row = await rowOf(id)
    return row.status === 'retrying' ? row : undefined
  }

  test('a run whose version is away longer than its attempts would last waits for it, and is done by no other', async () => {
    const { version, serving, store } = versions()
    const done: string[] = []
    const act = () => done.push(store.isAway ? 'away' : 'there')
    const queue = unscheduled()
    await using actions = ground().actions({ actions: single, functions: { do: act }, serving, queue })
    const run = await actions.dispatch(callOf(version, 'do_it'))
    for (const looks of [1, 2, 3]) {
      const held = await until(async () => (store.looks >= looks ? heldRow(run.id) : undefined))
      assert.equal(held.attempt, 0, 'a look that came too early is no attempt')
      if (looks === 3) store.isAway = false
      await hurry(ground().sql, run.id)
    }
    assert.equal((await settledRun(actions, run)).status, 'succeeded')
    const { attempts } = await actions.get(person('ada'), run.id)
    assert.deepEqual([done, attempts.length, (await rowOf(run.id)).since], [['there'], 1, null])
  })

  test('a message that comes a second time for a run that waits is one too many, and none comes of it', async () => {
    const { version, serving, store } = versions()
    const handled = new Set<string>()
    const queue = unscheduled((id) => handled.add(id))
    await using actions = ground().actions({ actions: single, functions: { do: () => 'done' }, serving, queue })
    const run = await actions.dispatch(callOf(version, 'do_it'))
    // However long the test may take, its time has not come, and nobody has sent for it since.
    const put = `UPDATE runs SET due_at = due_at + $2, sent_again = NULL WHERE id = $1 AND status = 'retrying' RETURNING id`
    await until(async () => (await ground().sql.query('system', put, [run.id, DAY])).length === 1)
    const { looks } = store
    const body = JSON.stringify({ run: run.id, attempt: 0 })
    const again = [1, 2, 3].map((index) => ({ id: `again-${index}-${run.id}`, body }))
    await ground().queue.send(again)
    await until(() => again.every(({ id }) => handled.has(id)))
    assert.deepEqual([store.looks, (await rowOf(run.id)).status], [looks, 'retrying'])
    store.isAway = false
    await hurry(ground().sql, run.id)
    assert.equal((await settledRun(actions, run)).status, 'succeeded')
  })

  test('what stays away for a day ends as a dead letter that says so; replayed, it is waited for anew', async () => {
    const { version, serving, store } = versions()
    const queue = unscheduled()
    await using actions = ground().actions({ actions: single, functions: { do: () => 'done' }, serving, queue })
    const run = await actions.dispatch(callOf(version, 'do_it'))
    await until(() => heldRow(run.id))
    const aged = 'UPDATE runs SET held_since = held_since - $2::bigint WHERE id = $1'
    await ground().sql.query('system', aged, [run.id, DAY])
    await hurry(ground().sql, run.id)
    assert.equal((await settledRun(actions, run)).status, 'dead-lettered')
    const { reason, message } = await actions.get(person('ada'), run.id)
    assert.deepEqual([reason, message], ['blob_unavailable', 'The store of config versions is out of reach.'])
    // Who replays it finds the version, and the worker does not.
    store.found = 1
    const replayed = await actions.replay(person('root', ['Admin']), run.id)
    const { since } = await until(() => heldRow(run.id))
    assert.ok(since !== null && replayed.updatedAt <= since)
    store.isAway = false
    await hurry(ground().sql, run.id)
    await until(async () => (await rowOf(run.id)).status === 'succeeded')
  })

  test('with the database away for longer than any lease, what was done is not forgotten', async () => {
    const specs = { do_it: actionSpec('do', { access: 'write', effect: 'at-most-once' }) }
    const refused: string[] = []
    let isAway = false
    let skewMs = 0
    const present = ground().sql
    const unlessAway = <Result>(what: string, work: () => Promise<Result>): Promise<Result> => {
      if (!isAway) return work()
      refused.push(what)
      return Promise.reject(new ParleyError('database_unavailable'))
    }
    const sql: Sql = {
      engine: present.engine,
      get reachable() {
        return !isAway
      },
      query: (scope, text, params) => unlessAway(text, () => present.query(scope, text, params)),
      transaction: (scope, work) => unlessAway('transaction', () => present.transaction(scope, work)),
      close: async () => {},
    }
    const effect: Executor = async (_, { begin }) => {
      await begin()
      isAway = true
      return 'done'
    }
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + skewMs }
    const more = { functions: { do: effect }, leaseMs: 30_000, sql, clock }
    await using actions = ground().actions({ actions: specs, ...more })
    const run = await actions.dispatch(callOf(versionOf(specs), 'do_it'))
    const times = (part: string) => refused.filter((text) => text.includes(part)).length
    const [ending, sweeping] = ['WITH ended', 'SET sent_again']
    await until(() => times(ending) > 0)
    // The lease runs out, and by then nobody could renew it.
    await ground().sql.query('system', 'UPDATE runs SET due_at = 1 WHERE id = $1', [run.id])
    skewMs = 60_000
    const [ended, swept] = [times(ending), times(sweeping)]
    await until(() => times(ending) > ended + 1 && times(sweeping) > swept)
    isAway = false
    const end = await settledRun(actions, run)
    assert.deepEqual([end.status, end.output], ['succeeded', '"done"'])
    assert.equal((await actions.get(person('ada'), run.id)).attempts.length, 1)
  })

  test('a run of which nobody can tell whether it was taken on is reported later, if it was', async () => {
    const present = ground().sql
    let isLost = false
    /** What is written is kept, and its answer lost; then the database is away. */
    const losing: Sql = {
      ...{ engine: present.engine, reachable: true, close: async () => {} },
      query: async (scope, text, params) => {
        if (isLost) throw new ParleyError('database_unavailable')
        const rows = await present.query<never>(scope, text, params)
        isLost = text.includes('INSERT INTO runs')
        if (isLost) throw new ParleyError('database_unavailable')
        return rows
      },
      transaction: (scope, work) => present.transaction(scope, work),
    }
    const call = callOf(versionOf(single), 'do_it', { conversation: `conv_${Math.random()}` })
    await using asking = ground().actions({
      actions: single,
      works: false,
      sql: losing,
      queue: deafQueue(ground().queue),
    })
    await assert.rejects(asking.dispatch(call), { code: 'database_unavailable' })
    const [row] = await present.query<{ id: string }>('system', 'SELECT id FROM runs WHERE turn = $1', [call.turn])
    assert.ok(row)
    await using working = ground().actions({ actions: single, functions: { do: () => 'done' } })
    await ground().sql.query('system', 'UPDATE runs SET due_at = 1 WHERE id = $1', [row.id])
    const told = await until(async () => {
      const taken = await working.takeFollowUps(100, 60_000)
      return taken.flatMap(({ runs }) => runs).find(({ id }) => id === row.id)
    })
    assert.deepEqual([told.status, told.output], ['succeeded', '"done"'])
  })

  test('with the keys away a run is tried again, and what it answered is not forgotten', async () => {
    const plain = { do_it: actionSpec('do') }
    const { seal } = ground()
    let isAway = false
    let effects = 0
    const sealOf = () => (isAway ? Promise.reject(new ParleyError('state_unavailable')) : Promise.resolve(seal))
    const executor: Executor = () => {
      isAway = true
      setTimeout(() => {
        isAway = false
      }, 100)
      return ++effects
    }
    await using actions = ground().actions({ actions: plain, functions: { do: executor }, sealOf })
    const run = await actions.dispatch(callOf(versionOf(plain), 'do_it'))
    isAway = false
    let end: unknown
    while (end === undefined) end = await settledRun(actions, run).catch(() => undefined)
    assert.equal(effects, 1)
    assert.equal((await actions.get(person('ada'), run.id)).result, 1)
  })
}
