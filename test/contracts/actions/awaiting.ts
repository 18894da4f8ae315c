import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Executor, IdentityNeeded } from '../../../src/actions/executors/executor.ts'
import type { Sql } from '../../../src/platform/sql/sql.ts'
import { actionSpec, callOf, type Ground, person, settledRun, until, versionOf } from '../../support/runs-at-hand.ts'

const plain = { do_it: actionSpec('do') }
const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

/** Runs that wait until their user can be had. */
export function awaitingSuite(ground: () => Ground): void {
  /** An authority that refuses until somebody consents, and how often it was asked. */
  function authority() {
    const asked = { times: 0, consented: false }
    const execute: Executor = () => {
      asked.times += 1
      if (!asked.consented) throw new IdentityNeeded()
      return 'done'
    }
    return { asked, functions: { do: execute } }
  }

  /** A run that waits for its user, taken on and tried by a replica that is gone by then. */
  async function waiting(functions: Record<string, Executor>) {
    await using actions = ground().actions({ actions: plain, functions })
    const run = await actions.dispatch(callOf(versionOf(plain), 'do_it'))
    await until(async () => (await actions.get(person('ada'), run.id)).status === 'awaiting-identity')
    return run
  }

  const aged = (id: string, ms: number) =>
    ground().sql.query(
      'system',
      `UPDATE runs SET updated_at = updated_at - $2::bigint, user_missing_since = user_missing_since - $2::bigint,
        due_at = due_at - $2::bigint WHERE id = $1`,
      [id, ms],
    )
  const rowOf = async (id: string) => {
    const [row] = await ground().sql.query<{ status: string; since: number | null; dueAt: number; version: number }>(
      'system',
      'SELECT status, user_missing_since AS since, due_at AS "dueAt", version FROM runs WHERE id = $1',
      [id],
    )
    assert.ok(row)
    return row
  }

  test('a run whose user has consented meanwhile is tried by itself, with nobody seen', async () => {
    const { asked, functions } = authority()
    const run = await waiting(functions)
    await aged(run.id, MINUTE)
    asked.consented = true
    await using actions = ground().actions({ actions: plain, functions })
    assert.equal((await settledRun(actions, run)).status, 'succeeded')
    const { attempts } = await actions.get(person('ada'), run.id)
    assert.deepEqual([attempts.length, (await rowOf(run.id)).since], [1, null], 'the tries in between do not count')
  })

  test('who waits for a run hears soon that it needs its user, and is told later what became of it', async () => {
    const { asked, functions } = authority()
    await using actions = ground().actions({ actions: plain, functions })
    const call = callOf(versionOf(plain), 'do_it')
    const run = await actions.dispatch(call)
    const patience = { mostMs: 120_000, identityMs: 20 }
    const wait = (known: typeof run) => actions.settled(known, patience, new AbortController().signal, () => {})
    const seen = await wait(run)
    assert.equal(seen.status, 'awaiting-identity')
    assert.equal((await wait(seen)).status, 'awaiting-identity', 'a successor finds it waiting already')
    asked.consented = true
    await actions.userIsBack({ tenant: 'local', id: 'ada' })
    assert.equal((await settledRun(actions, run)).status, 'succeeded')
    const taken = await actions.takeFollowUps(100, 1000)
    const [late, ...others] = taken.filter(({ turn }) => turn === call.turn)
    assert.deepEqual([late?.runs.map(({ id, status }) => [id, status]), others], [[[run.id, 'succeeded']], []])
    await actions.followUpDone(String(late?.id))
  })

  test('it is not tried before its time', async () => {
    const { asked, functions } = authority()
    const early = await waiting(functions)
    const due = await waiting(functions)
    await aged(early.id, MINUTE / 2)
    await aged(due.id, MINUTE)
    asked.consented = true
    await using actions = ground().actions({ actions: plain, functions })
    await settledRun(actions, due)
    assert.equal((await rowOf(early.id)).status, 'awaiting-identity')
    await actions.userIsBack({ tenant: 'local', id: 'ada' })
    assert.equal((await settledRun(actions, early)).status, 'succeeded')
  })

  test('tries in between take nothing from its patience and add nothing to it', async () => {
    const { asked, functions } = authority()
    const run = await waiting(functions)
    const first = await rowOf(run.id)
    assert.ok(first.since !== null)
    assert.equal(first.dueAt, first.since + DAY)
    await aged(run.id, DAY - MINUTE)
    const before = await rowOf(run.id)
    {
      await using actions = ground().actions({ actions: plain, functions })
      await until(() => asked.times === 2)
      await until(async () => (await rowOf(run.id)).version === before.version + 3)
      const { status, since, dueAt } = await rowOf(run.id)
      assert.deepEqual([status, since, dueAt], ['awaiting-identity', before.since, before.dueAt])
      assert.equal((await actions.get(person('ada'), run.id)).attempts.length, 1)
    }
    await aged(run.id, MINUTE)
    await using actions = ground().actions({ actions: plain, functions })
    assert.equal((await settledRun(actions, run)).status, 'expired')
    assert.deepEqual([asked.times, (await actions.get(person('ada'), run.id)).reason], [2, 'identity_expired'])
  })

  test('a run that is replayed has the whole of its patience again', async () => {
    const { asked, functions } = authority()
    const run = await waiting(functions)
    // Its worker died at its last attempt, long ago.
    await aged(run.id, 2 * DAY)
    const died = `UPDATE runs SET status = 'dead-lettered', reason = 'worker_lost', attempt = max_attempts, due_at = NULL,
      settled_at = updated_at WHERE id = $1`
    await ground().sql.query('system', died, [run.id])
    await using actions = ground().actions({ actions: plain, functions })
    const replayed = await actions.replay(person('root', ['Admin']), run.id)
    await until(async () => asked.times === 2 && (await rowOf(run.id)).status === 'awaiting-identity')
    const { since, dueAt } = await rowOf(run.id)
    assert.ok(since !== null && replayed.updatedAt <= since)
    assert.equal(dueAt, since + DAY)
    await actions.cancel(person('ada'), run.id)
  })

  test('of runs that wait for one user, one that cannot be woken keeps none of the others', async () => {
    const { asked, functions } = authority()
    const [stuck, sound] = [await waiting(functions), await waiting(functions)]
    asked.consented = true
    const sql: Sql = {
      ...{ engine: ground().sql.engine, reachable: true, close: async () => {} },
      query: (...args) => ground().sql.query(...args),
      transaction: (scope, work) =>
        ground().sql.transaction(scope, (tx) =>
          work({
            query: (text, params = []) => {
              if (text.includes('UPDATE runs r SET status = $3') && params[0] === stuck.id) throw new Error('Broken.')
              return tx.query(text, params)
            },
          }),
        ),
    }
    await using actions = ground().actions({ actions: plain, functions, sql })
    assert.equal(await actions.userIsBack({ tenant: 'local', id: 'ada' }), 1)
    assert.equal((await settledRun(actions, sound)).status, 'succeeded')
    assert.equal((await rowOf(stuck.id)).status, 'awaiting-identity')
    await actions.cancel(person('ada'), stuck.id).catch(() => {})
    await ground().sql.query('system', 'DELETE FROM runs WHERE id = $1', [stuck.id])
  })

  test('what an older replica left waiting is tried as well', async () => {
    const { asked, functions } = authority()
    const run = await waiting(functions)
    await aged(run.id, MINUTE)
    await ground().sql.query('system', 'UPDATE runs SET user_missing_since = NULL WHERE id = $1', [run.id])
    asked.consented = true
    await using actions = ground().actions({ actions: plain, functions })
    assert.equal((await settledRun(actions, run)).status, 'succeeded')
  })
}
