import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Run } from '../../../src/actions/port.ts'
import { eraseRuns } from '../../../src/actions/runs/erase.ts'
import { ParleyError } from '../../../src/errors.ts'
import type { Principal } from '../../../src/identity/principal.ts'
import type { Sql } from '../../../src/platform/sql/sql.ts'
import {
  actionSpec,
  callOf,
  deafQueue,
  type Ground,
  person,
  settledRun,
  versionOf,
} from '../../support/runs-at-hand.ts'

const plain = { do_it: actionSpec('do') }
const operator = person('root', ['Admin', 'Action.Approver'])

/** What operators find of runs that were given up, and what they can do about many of them. */
export function deadLettersSuite(ground: () => Ground): void {
  /** Dead letters with a reason of their own, oldest first. */
  async function givenUp(reason: string, ...actions: string[]): Promise<Run[]> {
    const specs = Object.fromEntries(actions.map((name) => [name, actionSpec('do')]))
    await using silent = ground().actions({ actions: specs, works: false, queue: deafQueue(ground().queue) })
    const runs: Run[] = []
    for (const name of actions) runs.push(await silent.dispatch(callOf(versionOf(specs), name)))
    await ground().sql.query(
      'system',
      `UPDATE runs SET status = 'dead-lettered', reason = $2, settled_at = 1, due_at = NULL WHERE id = ANY($1::text[])`,
      [runs.map(({ id }) => id), reason],
    )
    return runs
  }

  test('one whose key is missing hides none of the others, and can be decided on', async () => {
    const reason = `shut-${Math.random()}`
    const [first, second, third] = await givenUp(reason, 'do_it', 'do_it', 'do_it')
    assert.ok(first && second && third)
    const sealOf = () => Promise.reject(new ParleyError('sealed_unreadable'))
    await using shut = ground().actions({ actions: plain, works: false, queue: deafQueue(ground().queue), sealOf })
    await assert.rejects(shut.get(operator, first.id), { code: 'sealed_unreadable' })
    const { items } = await shut.list(operator, { limit: 3, whose: 'tenant', status: 'dead-lettered' })
    assert.deepEqual(
      items.map(({ id, reason, arguments: args, message }) => [id, reason, args, /cannot be read/.test(message ?? '')]),
      [third, second, first].map(({ id }) => [id, reason, {}, true]),
    )
    assert.equal((await shut.discard(operator, first.id, 'Nobody wants it.')).status, 'discarded')
    assert.equal((await shut.replay(operator, second.id)).status, 'queued')
    assert.equal((await shut.cancel(person('ada'), second.id)).status, 'cancelled')

    const ask = `UPDATE runs SET status = 'awaiting-approval', settled_at = NULL, approval = $2::jsonb WHERE id = $1`
    const approval = { roles: ['Admin'], ownAllowed: false, editable: [], because: 'rule', expiresAt: 9e15 }
    await ground().sql.query('system', ask, [third.id, JSON.stringify(approval)])
    const [pending] = (await shut.list(operator, { limit: 1, whose: 'to-approve' })).items
    assert.equal(pending?.id, third.id)
    const hash = pending.argumentsHash
    await assert.rejects(shut.approve(operator, third.id, { hash }), { code: 'sealed_unreadable' })
    assert.equal((await shut.reject(operator, third.id, 'Nobody can read it.')).status, 'rejected')
    await using sound = ground().actions({ actions: plain, works: false, queue: deafQueue(ground().queue) })
    assert.equal((await sound.get(operator, third.id)).message, 'It was not approved.')
  })

  test('however many cannot be replayed, those behind them are', async () => {
    const reason = `behind-${Math.random()}`
    const gone = Array.from({ length: 100 }, () => 'gone')
    const [first, second] = await givenUp(reason, 'do_it', 'do_it', ...gone)
    assert.ok(first && second)
    await using actions = ground().actions({ actions: plain, works: false, queue: deafQueue(ground().queue) })
    assert.deepEqual(await actions.replayAll(operator, { reason, limit: 1 }), { replayed: 1, more: true })
    assert.equal((await actions.get(operator, second.id)).status, 'queued')
    assert.deepEqual(await actions.replayAll(operator, { reason, limit: 1 }), { replayed: 1, more: false })
    assert.deepEqual(await actions.replayAll(operator, { reason, limit: 1 }), { replayed: 0, more: false })
    for (const { id } of [first, second]) await actions.cancel(person('ada'), id)
  })

  test('with the database away in the middle it is told how many were replayed, and the next call goes on', async () => {
    const reason = `middle-${Math.random()}`
    const runs = await givenUp(reason, 'do_it', 'do_it', 'do_it')
    const ids = runs.map(({ id }) => id)
    let left = 2
    const { sql } = ground()
    const lost: Sql = {
      ...{ engine: sql.engine, reachable: true, close: async () => {} },
      query: (scope, text, params) => sql.query(scope, text, params),
      transaction: (scope, work) =>
        sql.transaction(scope, (tx) =>
          work({
            query: (text, params = []) => {
              const isAway = ids.includes(String(params[0])) && left-- <= 0
              return isAway ? Promise.reject(new ParleyError('database_unavailable')) : tx.query(text, params)
            },
          }),
        ),
    }
    const queue = deafQueue(ground().queue)
    await using actions = ground().actions({ actions: plain, works: false, queue, sql: lost })
    assert.deepEqual(await actions.replayAll(operator, { reason, limit: 10 }), { replayed: 2, more: true })
    await assert.rejects(actions.replayAll(operator, { reason, limit: 10 }), { code: 'database_unavailable' })
    assert.equal((await actions.get(operator, ids[0] ?? '')).status, 'dead-lettered')
    left = Number.POSITIVE_INFINITY
    assert.deepEqual(await actions.replayAll(operator, { reason, limit: 10 }), { replayed: 1, more: false })
    for (const id of ids) assert.equal((await actions.cancel(person('ada'), id)).status, 'cancelled')
  })

  test('one whose owner is erased is in nobody’s way any more', async () => {
    const specs = { do_it: actionSpec('do', { order: 'conversation' }) }
    const [conversation, leaver] = [`conv_${Math.random()}`, person(`leaver-${Math.random()}`)]
    // As where somebody who operates undoes what the user of the conversation had done.
    const [first, second] = await (async () => {
      await using silent = ground().actions({ actions: specs, works: false, queue: deafQueue(ground().queue) })
      const ask = (principal: Principal) =>
        silent.dispatch(callOf(versionOf(specs), 'do_it', { conversation, principal }))
      return [await ask(leaver), await ask(person('ada'))]
    })()
    await ground().sql.query(
      'system',
      `UPDATE runs SET status = 'dead-lettered', reason = 'timeout', settled_at = 1, due_at = NULL WHERE id = $1`,
      [first.id],
    )
    await using actions = ground().actions({ actions: specs, functions: { do: () => 'done' } })
    assert.equal((await actions.get(person('ada'), second.id)).blockedBy, first.id)
    await eraseRuns(ground().sql, leaver, Date.now() - 60_000)
    assert.equal((await actions.get(person('ada'), second.id)).blockedBy, null)
    assert.equal((await settledRun(actions, second)).status, 'succeeded')
  })
}
