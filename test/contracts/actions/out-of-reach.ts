import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ParleyError } from '../../../src/errors.ts'
import { actionSpec, callOf, type Ground, person, settledRun, until, versionOf } from '../../support/runs-at-hand.ts'
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
    const store = { isAway: true, sought: 0, found: 0 }
    serving.get = (name) => {
      store.sought += 1
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
  /** As if the message for its next attempt had been lost: it is sent for with another. */
  const hurry = (id: string) =>
    ground().sql.query('system', 'UPDATE runs SET due_at = 1, sent_again = version WHERE id = $1', [id])

  test('a run whose version is away longer than its attempts would last waits for it, and is done by no other', async () => {
    const { version, serving, store } = versions()
    const done: string[] = []
    const act = () => done.push(store.isAway ? 'away' : 'there')
    await using actions = ground().actions({ actions: single, functions: { do: act }, serving })
    const run = await actions.dispatch(callOf(version, 'do_it'))
    for (const looks of [1, 2, 3]) {
      await until(async () => store.sought === looks && (await rowOf(run.id)).status === 'retrying')
      assert.equal((await rowOf(run.id)).attempt, 0, 'a look that came too early is no attempt')
      if (looks === 3) store.isAway = false
      await hurry(run.id)
    }
    assert.equal((await settledRun(actions, run)).status, 'succeeded')
    const { attempts } = await actions.get(person('ada'), run.id)
    assert.deepEqual([done, attempts.length, (await rowOf(run.id)).since], [['there'], 1, null])
  })

  test('what stays away for a day ends as a dead letter that says so; replayed, it is waited for anew', async () => {
    const { version, serving, store } = versions()
    await using actions = ground().actions({ actions: single, functions: { do: () => 'done' }, serving })
    const run = await actions.dispatch(callOf(version, 'do_it'))
    const isHeld = async () => (await rowOf(run.id)).status === 'retrying'
    await until(isHeld)
    const aged = 'UPDATE runs SET held_since = held_since - $2::bigint WHERE id = $1'
    await ground().sql.query('system', aged, [run.id, DAY])
    await hurry(run.id)
    assert.equal((await settledRun(actions, run)).status, 'dead-lettered')
    const { reason, message } = await actions.get(person('ada'), run.id)
    assert.deepEqual([reason, message], ['blob_unavailable', 'The store of config versions is out of reach.'])
    // Who replays it finds the version, and the worker does not.
    store.found = 1
    const replayed = await actions.replay(person('root', ['Admin']), run.id)
    await until(isHeld)
    const { since } = await rowOf(run.id)
    assert.ok(since !== null && replayed.updatedAt <= since)
    store.isAway = false
    await hurry(run.id)
    await until(async () => (await rowOf(run.id)).status === 'succeeded')
  })
}
