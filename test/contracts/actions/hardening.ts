import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Executor, PassingError } from '../../../src/actions/executors/executor.ts'
import { changeRun } from '../../../src/actions/runs/changes.ts'
import { readRun } from '../../../src/actions/runs/reads.ts'
import { RunWork } from '../../../src/actions/runs/work.ts'
import { overdueChange } from '../../../src/actions/sweeper.ts'
import { ParleyError } from '../../../src/errors.ts'
import type { Sql } from '../../../src/platform/sql/sql.ts'
import { actionSpec, callOf, type Ground, person, settledRun, versionOf } from '../../support/runs-at-hand.ts'

const plain = { do_it: actionSpec('do') }
const once = { do_it: actionSpec('do', { access: 'write', effect: 'at-most-once', timeoutMs: 50 }) }

/** The engine, where statements that fit may be held up or refused before they are sent. */
function hindered(sql: Sql, isMeant: (text: string) => boolean, before: () => Promise<void>): Sql {
  return {
    ...{ engine: sql.engine, reachable: true, close: async () => {} },
    query: async (scope, text, params) => {
      if (isMeant(text)) await before()
      return sql.query(scope, text, params)
    },
    transaction: (scope, work) => sql.transaction(scope, work),
  }
}

const isBegin = (text: string) => text.includes('SET began = true')
const isEnd = (text: string) => text.includes('WITH ended')
const away = () => Promise.reject(new ParleyError('database_unavailable'))

/** Where the fence, the queue and the rules could be got around. */
export function hardeningSuite(ground: () => Ground): void {
  /** A run that this replica executes nothing of. */
  async function asked(actions: typeof plain = plain, change: Parameters<typeof callOf>[2] = {}) {
    const queue = { ...ground().queue, engine: 'sqlite' as const, reachable: true, send: async () => {} }
    await using silent = ground().actions({ actions, works: false, queue })
    return silent.dispatch(callOf(versionOf(actions), 'do_it', change))
  }
  const claim = (work: RunWork, id: string, attempt: number) => work.claim(id, attempt, Date.now() + 60_000, Date.now())

  test('an old and a new attempt on one replica, at the same moment: the fence tells them apart', async () => {
    const run = await asked()
    const work = new RunWork(ground().sql, 'both')
    const old = await claim(work, run.id, 0)
    await ground().sql.query('system', `UPDATE runs SET status = 'retrying' WHERE id = $1`, [run.id])
    const claims = await Promise.all([claim(work, run.id, 0), claim(work, run.id, 1)])
    assert.deepEqual(
      claims.map((row) => row?.attempt),
      [undefined, 2],
    )
    const [, row] = claims
    assert.ok(old && row)
    const fences = [old.fence, row.fence]
    const begun = fences.map((fence) => work.begin(run.id, fence))
    assert.deepEqual(await Promise.all(begun), [false, true])
    const renewals = fences.map((fence) => work.renew({ id: run.id, fence, until: Date.now() + 60_000, now: 0 }))
    assert.deepEqual(await Promise.all(renewals), [false, true])
    const end = { status: 'succeeded', ended: 'succeeded', reason: null, outcome: null, dueAt: null } as const
    const ends = fences.map((fence) => work.end({ ...end, id: run.id, fence, uncounted: false, now: Date.now() }, row))
    assert.deepEqual(
      (await Promise.all(ends)).map((ended) => ended?.row.status),
      [undefined, 'succeeded'],
    )
  })

  test('whose effect begins while a sweeper takes it for lost is looked at again', async () => {
    const run = await asked(once)
    const work = new RunWork(ground().sql, 'slow')
    const claimed = await work.claim(run.id, 0, 1, Date.now())
    assert.ok(claimed)
    const seen = await readRun(ground().sql, 'system', run.id)
    assert.ok(seen)
    assert.equal(await work.begin(run.id, claimed.fence), true)
    assert.equal(await changeRun(ground().sql, seen, overdueChange(seen, Date.now())), undefined)
    const again = await readRun(ground().sql, 'system', run.id)
    assert.ok(again)
    const change = overdueChange(again, Date.now())
    await work.renew({ id: run.id, fence: claimed.fence, until: Date.now() + 60_000, now: 0 })
    assert.equal(change.status, 'unknown')
    assert.equal(await changeRun(ground().sql, again, change), undefined)
  })

  test('an attempt that was given up begins no effect while its end is being written', async () => {
    const gate = Promise.withResolvers<void>()
    const ending = Promise.withResolvers<void>()
    const sql = hindered(ground().sql, isEnd, () => {
      ending.resolve()
      return gate.promise
    })
    let effects = 0
    const late = Promise.withResolvers<unknown>()
    const executor: Executor = async (_, { begin, attempt }) => {
      if (attempt === 1) await ending.promise
      await begin().catch((error) => {
        late.resolve(error)
        throw error
      })
      effects += 1
      if (attempt === 1) late.resolve('begun')
      return 'done'
    }
    await using actions = ground().actions({ actions: once, functions: { do: executor }, sql })
    const run = await actions.dispatch(callOf(versionOf(once), 'do_it'))
    assert.equal(await late.promise, 'timeout')
    gate.resolve()
    assert.equal((await settledRun(actions, run)).status, 'succeeded')
    assert.equal(effects, 1)
  })

  test('with the database away as its effect is to begin, a run is tried again: nothing has happened yet', async () => {
    let refused = 0
    const sql = hindered(ground().sql, isBegin, () => (refused++ === 0 ? away() : Promise.resolve()))
    let effects = 0
    const executor: Executor = async (_, { begin }) => {
      await begin()
      return ++effects
    }
    await using actions = ground().actions({ actions: once, functions: { do: executor }, sql })
    const run = await actions.dispatch(callOf(versionOf(once), 'do_it'))
    assert.deepEqual([(await settledRun(actions, run)).status, effects], ['succeeded', 1])
    const { attempts } = await actions.get(person('ada'), run.id)
    assert.equal(attempts[0]?.reason, 'database_unavailable')
  })

  test('with the keys away a run is tried again, and what it answered is not forgotten', async () => {
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

  test('while the database is away a message is held, and its deliveries are not used up', async () => {
    let refused = 0
    const isClaim = (text: string) => text.includes('WITH claimed')
    const sql = hindered(ground().sql, isClaim, () => (refused++ < 5 ? away() : Promise.resolve()))
    await using actions = ground().actions({ actions: plain, functions: { do: () => 'done' }, sql })
    const run = await actions.dispatch(callOf(versionOf(plain), 'do_it'))
    assert.equal((await settledRun(actions, run)).status, 'succeeded')
    assert.equal(
      ground().lines.filter((line) => line.run === run.id && line.msg === 'A run could not be worked on').length,
      0,
    )
  })

  test('a message with an attempt beyond all counting, and a reason with a NUL, harm nobody', async () => {
    const executor: Executor = () => {
      throw new PassingError('Away.', { reason: 'no\u0000\ud800thing' })
    }
    const specs = { do_it: actionSpec('do'), odd: actionSpec('odd', { retries: 0 }) }
    await using actions = ground().actions({ actions: specs, functions: { do: () => 'done', odd: executor } })
    const body = JSON.stringify({ run: `run_${'0'.repeat(32)}`, attempt: 2 ** 31 })
    await ground().queue.send([{ id: `beyond-${Date.now()}`, body }])
    const runs = await Promise.all(['do_it', 'odd'].map((name) => actions.dispatch(callOf(versionOf(specs), name))))
    const ends = await Promise.all(runs.map((run) => settledRun(actions, run)))
    assert.deepEqual(
      ends.map(({ status }) => status),
      ['succeeded', 'dead-lettered'],
    )
    const [, odd] = ends
    assert.equal((await actions.get(person('ada'), String(odd?.id))).reason, 'no??thing')
    const dead = async () => (await ground().queue.deadLetters(100)).find((letter) => letter.body === body)
    while (!(await dead())) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.equal((await dead())?.reason, 'bad_message')
    await ground().queue.removeDeadLetters([String((await dead())?.id)])
  })
}
