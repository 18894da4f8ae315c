import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorrectableError, type Executor, PassingError } from '../../../src/actions/executors/executor.ts'
import { changeRun } from '../../../src/actions/runs/changes.ts'
import { readRun } from '../../../src/actions/runs/reads.ts'
import { RunWork } from '../../../src/actions/runs/work.ts'
import { overdueChange } from '../../../src/actions/sweeper.ts'
import { ParleyError } from '../../../src/errors.ts'
import { type Clock, systemClock } from '../../../src/platform/clock.ts'
import type { Sql } from '../../../src/platform/sql/sql.ts'
import { actionSpec, callOf, type Ground, person, settledRun, versionOf } from '../../support/runs-at-hand.ts'

const plain = { do_it: actionSpec('do') }
const once = { do_it: actionSpec('do', { access: 'write', effect: 'at-most-once', timeoutMs: 47_000 }) }

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

  test('of dead letters that are replayed at once, one that is erased meanwhile holds up no other', async () => {
    const name = `act_${String(Math.random()).slice(2)}`
    const specs = { [name]: actionSpec('do', { retries: 0, timeoutMs: 20 }) }
    const functions = { do: () => new Promise<never>(() => {}) }
    await using worker = ground().actions({ actions: specs, functions })
    const runs = await Promise.all([1, 2, 3].map(() => worker.dispatch(callOf(versionOf(specs), name))))
    for (const run of runs) assert.equal((await settledRun(worker, run)).status, 'dead-lettered')
    let isFirst = true
    const sql = hindered(
      ground().sql,
      (text) => text.endsWith('FROM runs r WHERE r.id = $1') && isFirst,
      async () => {
        isFirst = false
        await ground().sql.query('system', 'DELETE FROM runs WHERE id = $1', [runs.at(-1)?.id ?? ''])
      },
    )
    await using actions = ground().actions({ actions: specs, works: false, sql })
    assert.equal((await actions.replayAll(person('admin', ['Admin']), { action: name, limit: 10 })).replayed, 2)
    assert.equal(isFirst, false)
  })

  test('an old and a new attempt on one replica, at the same moment: the fence tells them apart', async () => {
    const run = await asked()
    const work = new RunWork(ground().sql, 'both')
    const old = await claim(work, run.id, 0)
    await ground().sql.query('system', `UPDATE runs SET status = 'retrying', due_at = 0 WHERE id = $1`, [run.id])
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
    // The time of the first attempt is over in a moment, that of the second is not, however slow the database.
    let attempts = 0
    const after: Clock['after'] = (delayMs, task) =>
      systemClock.after(delayMs === once.do_it.timeoutMs && attempts++ === 0 ? 10 : delayMs, task)
    const clock: Clock = { ...systemClock, after }
    await using actions = ground().actions({ actions: once, functions: { do: executor }, sql, clock })
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
    assert.deepEqual([refused, attempts.length], [2, 1], 'what could not begin is no attempt')
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

  test('against the words of strangers the user or an approver decides, and no other user sees the run', async () => {
    const write = { do_it: actionSpec('do', { access: 'write' }) }
    await using actions = ground().actions({ actions: write, functions: { do: () => 'done' } })
    const run = await actions.dispatch(callOf(versionOf(write), 'do_it', { untrusted: true }))
    assert.equal(run.status, 'awaiting-approval')
    const decision = { hash: String(run.approval?.hash) }
    const [bob, ada, carl] = [person('bob'), person('ada'), person('carl', ['Action.Approver'])]
    await assert.rejects(actions.get(bob, run.id), { code: 'run_not_found' })
    await assert.rejects(actions.approve(bob, run.id, decision), { code: 'run_not_found' })
    const listed = await Promise.all(
      [bob, ada, carl].map((who) => actions.list(who, { limit: 100, whose: 'to-approve' })),
    )
    assert.deepEqual(
      listed.map(({ items }) => items.some(({ id }) => id === run.id)),
      [false, true, true],
    )
    assert.deepEqual(run.approval?.roles, ['Chat.User', 'Action.Approver'])
    assert.equal((await actions.approve(person('ada', []), run.id, decision)).approval?.decidedBy?.id, 'ada')
    await settledRun(actions, { ...run, status: 'queued' })
  })

  test('where too many wait, a call that was taken on already is still the same run', async () => {
    const call = callOf(versionOf(plain), 'do_it')
    await using open = ground().actions({ actions: plain, works: false })
    const run = await open.dispatch(call)
    await using full = ground().actions({ actions: plain, works: false, maxWaiting: 0 })
    assert.deepEqual([(await full.dispatch(call)).id, (await full.dispatch(call)).status], [run.id, 'queued'])
    assert.equal((await full.dispatch(callOf(versionOf(plain), 'do_it'))).status, 'rejected')
    await open.cancel(person('ada'), run.id)
  })

  test('a key of a program is for what was asked with it, also after an approver has edited that', async () => {
    const specs = { do_it: actionSpec('do', { approval: { editable: ['title'] } }) }
    await using actions = ground().actions({ actions: specs, functions: { do: () => 'done' } })
    const request = { action: 'do_it', traceparent: undefined }
    const asked = { ...request, arguments: { title: 'old' }, key: `edited-${Date.now()}` }
    const run = await actions.start(person('ada'), asked)
    const approver = person('carl', ['Action.Approver'])
    const { seal } = ground()
    await ground().sql.query('system', 'UPDATE runs SET preview = $2 WHERE id = $1', [
      ...[run.id, seal.seal('"of the old"', `run:${run.id}@preview`)],
    ])
    assert.equal((await actions.get(approver, run.id)).approval?.preview, 'of the old')
    const decision = { hash: run.argumentsHash, edited: { title: 'new' } }
    const approved = await actions.approve(approver, run.id, decision)
    assert.deepEqual([approved.revision, approved.approval?.preview], [2, null])
    assert.equal((await actions.start(person('ada'), asked)).id, run.id)
    await assert.rejects(actions.start(person('ada'), { ...asked, arguments: { title: 'new' } }), {
      code: 'idempotency_mismatch',
    })
  })

  test('runs are withdrawn together with what they held up, if need be when the database is back', async () => {
    const specs = { do_it: actionSpec('do', { order: 'conversation', approval: { when: { x: [1] } } }) }
    const broken: Sql = {
      ...hindered(ground().sql, () => false, away),
      transaction: (scope, work) =>
        ground().sql.transaction(scope, (tx) =>
          work({ query: (text, params) => (text.includes('SET waiting = false') ? away() : tx.query(text, params)) }),
        ),
    }
    const options = { actions: specs, functions: { do: () => 'done' } }
    const conversation = `conv_${Date.now()}`
    await using sound = ground().actions(options)
    const held = callOf(versionOf(specs), 'do_it', { conversation })
    const run = await sound.dispatch(held)
    const next = await sound.dispatch(callOf(versionOf(specs), 'do_it', { conversation, arguments: '{"x":2}' }))
    await using failing = ground().actions({ ...options, works: false, sql: broken })
    await failing.withdraw(held.turn)
    assert.equal((await settledRun(sound, run)).status, 'cancelled')
    assert.equal((await settledRun(sound, next)).status, 'succeeded')
  })

  test('a dead letter whose action is gone holds up none of those that are replayed with it', async () => {
    const specs = { kept: actionSpec('kept'), gone: actionSpec('kept') }
    const queue = { ...ground().queue, engine: 'sqlite' as const, reachable: true, send: async () => {} }
    const runs = await (async () => {
      await using silent = ground().actions({ actions: specs, works: false, queue })
      return Promise.all(['kept', 'gone'].map((name) => silent.dispatch(callOf(versionOf(specs), name))))
    })()
    await ground().sql.query(
      'system',
      `UPDATE runs SET status = 'dead-lettered', reason = 'replayed_together', settled_at = 1, due_at = NULL
       WHERE id = ANY($1::text[])`,
      [runs.map(({ id }) => id)],
    )
    await using after = ground().actions({ actions: { kept: specs.kept }, functions: { kept: () => 'done' } })
    const filter = { reason: 'replayed_together', limit: 10 }
    assert.deepEqual(await after.replayAll(person('root', ['Admin']), filter), { replayed: 1, more: false })
    const [kept] = runs
    assert.ok(kept)
    assert.equal((await settledRun(after, { ...kept, status: 'queued' })).status, 'succeeded')
  })

  test('what comes of a replay is reported too, under a name of its own; what was moved on is not', async () => {
    const specs = { do_it: actionSpec('do', { retries: 0 }) }
    const gates: PromiseWithResolvers<unknown>[] = []
    const executor: Executor = () => {
      const gate = Promise.withResolvers<unknown>()
      gates.push(gate)
      return gate.promise
    }
    await using actions = ground().actions({ actions: specs, functions: { do: executor } })
    const run = await actions.dispatch(callOf(versionOf(specs), 'do_it'))
    const reached = async (count: number) => {
      while (gates.length < count) await new Promise((resolve) => setTimeout(resolve, 10))
    }
    const fail = async (count: number) => {
      await reached(count)
      gates[count - 1]?.reject(new PassingError('Busy.', { reason: 'server_error' }))
      await settledRun(actions, { ...run, status: 'queued' })
    }
    const mine = async () => (await actions.takeFollowUps(100, 60_000)).filter(({ runs }) => runs[0]?.id === run.id)
    await reached(1)
    await actions.settled(run, { mostMs: 1 }, new AbortController().signal, () => {})
    await fail(1)
    const admin = person('root', ['Admin'])
    const [first] = await mine()
    assert.equal(first?.runs[0]?.status, 'dead-lettered')
    await actions.replay(admin, run.id)
    await fail(2)
    await actions.replay(admin, run.id)
    assert.deepEqual(await mine(), [])
    await reached(3)
    gates[2]?.resolve('done')
    assert.equal((await settledRun(actions, { ...run, status: 'queued' })).status, 'succeeded')
    await actions.followUpDone(String(first?.id))
    const [last, ...more] = await mine()
    assert.deepEqual([last?.runs.map(({ status }) => status), more], [['succeeded'], []])
    assert.notEqual(last?.id, first?.id)
    await actions.followUpDone(String(last?.id))
  })

  test('a page of runs that nobody can look after keeps no sweeper from the runs behind it', async () => {
    const turn = `turn_poison_${Date.now()}`
    const queue = { ...ground().queue, engine: 'sqlite' as const, reachable: true, send: async () => {} }
    const poison = await (async () => {
      await using silent = ground().actions({ actions: plain, works: false, queue })
      const calls = Array.from({ length: 100 }, (_, index) => {
        return callOf(versionOf(plain), 'do_it', { turn, key: `${turn}/0/${index}` })
      })
      return new Set((await Promise.all(calls.map((call) => silent.dispatch(call)))).map(({ id }) => id))
    })()
    const run = await asked()
    await ground().sql.query('system', 'UPDATE runs SET due_at = 1 WHERE turn = $1', [turn])
    await ground().sql.query('system', 'UPDATE runs SET due_at = 2 WHERE id = $1', [run.id])
    const sql: Sql = {
      ...hindered(ground().sql, () => false, away),
      transaction: (scope, work) =>
        ground().sql.transaction(scope, (tx) =>
          work({
            query: async (text, params) => {
              if (poison.has(String(params?.[0]))) throw new Error('This row is broken.')
              return tx.query(text, params)
            },
          }),
        ),
    }
    await using actions = ground().actions({ actions: plain, functions: { do: () => 'done' }, sql })
    assert.equal((await settledRun(actions, run)).status, 'succeeded')
    await ground().sql.query(
      'system',
      `UPDATE runs SET status = 'cancelled', settled_at = 1, due_at = NULL WHERE turn = $1`,
      [turn],
    )
  })

  test('an ordered run that is replayed does not run beside the one that was let past it', async () => {
    const specs = { do_it: actionSpec('do', { order: 'conversation' }) }
    const started: string[] = []
    const gate = Promise.withResolvers<unknown>()
    let isRefusing = true
    const executor: Executor = ({ x }) => {
      started.push(String(x))
      if (x === 2) return gate.promise
      if (isRefusing) throw new CorrectableError('No.')
      return 'done'
    }
    await using actions = ground().actions({ actions: specs, functions: { do: executor } })
    const conversation = `conv_replayed_${Date.now()}`
    const call = (x: number) => callOf(versionOf(specs), 'do_it', { conversation, arguments: `{"x":${x}}` })
    const first = await actions.dispatch(call(1))
    assert.equal((await settledRun(actions, first)).status, 'failed')
    isRefusing = false
    const second = await actions.dispatch(call(2))
    while (started.length < 2) await new Promise((resolve) => setTimeout(resolve, 10))
    const replayed = await actions.replay(person('root', ['Admin']), first.id)
    assert.deepEqual([replayed.status, replayed.dueAt, replayed.blockedBy], ['queued', null, second.id])
    gate.resolve('done')
    assert.equal((await settledRun(actions, second)).status, 'succeeded')
    assert.equal((await settledRun(actions, { ...first, status: 'queued' })).status, 'succeeded')
    assert.deepEqual(started, ['1', '2', '1'])
  })
}
