import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { type Executor, PassingError } from '../../../src/actions/executors/executor.ts'
import { RunWork } from '../../../src/actions/runs/work.ts'
import { createSeal } from '../../../src/conversations/vault.ts'
import { ParleyError } from '../../../src/errors.ts'
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

const plain = { do_it: actionSpec('do') }
const once = { do_it: actionSpec('do', { access: 'write', effect: 'at-most-once' }) }
const hold = { until: 0, attempt: 0 }

/** What is left of runs when processes, queues and databases fail. */
export function recoverySuite(ground: () => Ground): void {
  /** A run that nobody was told of. */
  async function unheard(actions: typeof plain = plain) {
    await using silent = ground().actions({ actions, works: false, queue: deafQueue(ground().queue) })
    return silent.dispatch(callOf(versionOf(actions), 'do_it'))
  }

  async function doneRun() {
    await using actions = ground().actions({ actions: plain, functions: { do: () => 'done' } })
    const run = await actions.dispatch(callOf(versionOf(plain), 'do_it'))
    // Not before it is done may the replica go.
    return await settledRun(actions, run)
  }

  /** As a worker would that dies right after. */
  async function claimAndDie(id: string, attempt: number, begin = false): Promise<void> {
    const work = new RunWork(ground().sql, 'dead')
    const row = await work.claim(id, attempt, Date.now() - 1, Date.now())
    assert.ok(row)
    if (begin) assert.equal(await work.begin(id, row.fence), true)
  }

  /** Those of these runs whose late results are handed out now; other tests may have left some. */
  async function takenOf(actions: ReturnType<Ground['actions']>, ...ids: string[]): Promise<string[]> {
    const taken = await actions.takeFollowUps(100, 1000)
    return taken.flatMap(({ runs }) => runs.map(({ id }) => id)).filter((id) => ids.includes(id))
  }

  const overdue = (id: string) => ground().sql.query('system', 'UPDATE runs SET due_at = 1 WHERE id = $1', [id])

  test('a worker that died: its run is tried again by another, and the attempt is noted as lost', async () => {
    const run = await unheard()
    await claimAndDie(run.id, 0, true)
    await using actions = ground().actions({ actions: plain, functions: { do: (_, { attempt }) => attempt } })
    assert.equal((await settledRun(actions, run)).output, '2')
    const { attempts } = await actions.get(person('ada'), run.id)
    assert.deepEqual(
      attempts.map(({ outcome, reason }) => [outcome, reason]),
      [
        ['lost', 'worker_lost'],
        ['succeeded', null],
      ],
    )
  })

  test('a worker that died where the effect must not be tried twice: tried again only if it had not begun', async () => {
    const before = await unheard(once)
    await claimAndDie(before.id, 0, false)
    const during = await unheard(once)
    await claimAndDie(during.id, 0, true)
    let executed = 0
    await using actions = ground().actions({ actions: once, functions: { do: () => ++executed } })
    assert.equal((await settledRun(actions, before)).status, 'succeeded')
    const unknown = await settledRun(actions, during)
    assert.equal(unknown.status, 'unknown')
    assert.equal(executed, 1)
    const admin = person('root', ['Admin'])
    await assert.rejects(actions.replay(admin, during.id), { code: 'run_state' })
    const settled = await actions.settle(admin, during.id, { status: 'succeeded', note: 'It is there.' })
    assert.deepEqual([settled.status, settled.result], ['succeeded', { note: 'It is there.' }])
  })

  test('a run that kills its workers ends as a dead letter', async () => {
    const specs = { do_it: actionSpec('do', { retries: 2 }) }
    const run = await unheard(specs)
    for (const attempt of [0, 1]) {
      await claimAndDie(run.id, attempt)
      await ground().sql.query('system', `UPDATE runs SET status = 'retrying' WHERE id = $1`, [run.id])
    }
    await claimAndDie(run.id, 2)
    await using actions = ground().actions({ actions: specs, functions: { do: () => 'never' } })
    const end = await settledRun(actions, run)
    assert.deepEqual([end.status, (await actions.get(person('ada'), run.id)).reason], ['dead-lettered', 'worker_lost'])
  })

  test('who has lost a run can neither begin its effect nor say how it ended', async () => {
    const run = await unheard()
    const work = new RunWork(ground().sql, 'slow')
    const row = await work.claim(run.id, 0, Date.now() - 1, Date.now())
    assert.ok(row)
    await using actions = ground().actions({ actions: plain, functions: { do: () => 'second' } })
    assert.equal((await settledRun(actions, run)).output, '"second"')
    assert.equal(await work.begin(run.id, row.fence), false)
    assert.equal(await work.renew({ id: run.id, fence: row.fence, ...hold, now: 0 }), false)
    const end = {
      ...({ status: 'failed', ended: 'failed', reason: 'internal', outcome: null, dueAt: null } as const),
      ...{ id: run.id, fence: row.fence, uncounted: false, now: Date.now() },
    }
    assert.equal(await work.end(end, row), undefined)
    assert.equal((await actions.get(person('ada'), run.id)).status, 'succeeded')
  })

  test('an effect that may have begun is not tried again where it must not be; one that surely did not is', async () => {
    const failing =
      (untouched: boolean): Executor =>
      async (_, { begin, attempt }) => {
        await begin()
        if (attempt === 1) throw new PassingError('Cut off.', { reason: 'cut_off', untouched, retryAfterMs: 1 })
        return 'second'
      }
    for (const [untouched, status] of [
      [true, 'succeeded'],
      [false, 'unknown'],
    ] as const) {
      await using actions = ground().actions({ actions: once, functions: { do: failing(untouched) } })
      const run = await actions.dispatch(callOf(versionOf(once), 'do_it'))
      assert.equal((await settledRun(actions, run)).status, status)
    }
  })

  test('a message that comes again after success has no second effect', async () => {
    let executed = 0
    await using actions = ground().actions({ actions: plain, functions: { do: () => ++executed } })
    const run = await actions.dispatch(callOf(versionOf(plain), 'do_it'))
    await settledRun(actions, run)
    const body = JSON.stringify({ run: run.id, attempt: 0 })
    await ground().queue.send([
      { id: `${run.id}:again`, body },
      { id: `${run.id}:and-again`, body: body.replace('0}', '1}') },
    ])
    const marker = await actions.dispatch(callOf(versionOf(plain), 'do_it'))
    await settledRun(actions, marker)
    assert.equal(executed, 2)
  })

  test('a message that is none is a dead letter of the broker at once', async () => {
    await using actions = ground().actions({ actions: plain, functions: { do: () => 1 } })
    const id = `bad-${Math.random()}`
    await ground().queue.send([{ id, body: '{"run":"DROP TABLE"}' }])
    await until(async () => (await ground().queue.deadLetters(100)).some((letter) => letter.id === id))
    const letter = (await ground().queue.deadLetters(100)).find((one) => one.id === id)
    assert.deepEqual([letter?.reason, letter?.deliveryCount], ['bad_message', 1])
    assert.equal((await actions.list(person('ada'), { limit: 1, whose: 'mine' })).items.length <= 1, true)
  })

  test('what can never succeed ends at its first attempt, with its reason', async () => {
    for (const [now, expected] of [
      [{ do_it: actionSpec('do', { parameters: { type: 'object', required: ['y'] } }) }, 'arguments_invalid'],
      [{ do_it: actionSpec('do', { roles: ['Admin'] }) }, 'role_missing'],
      [{ other: actionSpec('do') }, 'unknown_action'],
    ] as const) {
      const run = await unheard()
      await overdue(run.id)
      let executed = 0
      await using actions = ground().actions({ actions: { ...now }, functions: { do: () => ++executed } })
      const end = await settledRun(actions, run)
      const { reason, attempts } = await actions.get(person('ada'), run.id)
      assert.deepEqual([end.status, reason, attempts.length, executed], ['dead-lettered', expected, 1, 0])
    }
  })

  test('as many runs as may wait are taken on, further ones are refused until some are done', async () => {
    const queue = deafQueue(ground().queue)
    const [{ count } = { count: 0 }] = await ground().sql.query<{ count: number }>(
      'system',
      `SELECT count(*) AS count FROM runs WHERE status IN ('queued', 'retrying')`,
    )
    await using full = ground().actions({ actions: plain, works: false, queue, maxWaiting: count + 2 })
    const start = () => {
      const what = { action: 'do_it', arguments: {}, key: undefined } as const
      return full.start(person('ada'), { ...what, traceparent: undefined })
    }
    const taken: string[] = []
    let refusal: unknown
    await until(async () => {
      await start().then(
        ({ id }) => taken.push(id),
        (error: unknown) => {
          refusal = error
        },
      )
      return refusal !== undefined
    })
    assert.equal(refusal instanceof ParleyError && refusal.code, 'runs_full')
    assert.ok(taken.length >= 2)
    const told = await full.dispatch(callOf(versionOf(plain), 'do_it'))
    assert.equal(told.status, 'rejected')
    for (const id of taken) await full.cancel(person('ada'), id)
    await until(() =>
      start().then(
        async ({ id }) => (await full.cancel(person('ada'), id)).status === 'cancelled',
        () => false,
      ),
    )
  })

  test('a run that is being executed while its replica drains goes back, and another ends it', async () => {
    const started = Promise.withResolvers<void>()
    const stuck: Executor = (_, { signal }) => {
      started.resolve()
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    }
    const leaving = ground().actions({ actions: plain, functions: { do: stuck } })
    const run = await leaving.dispatch(callOf(versionOf(plain), 'do_it'))
    await started.promise
    await leaving.drain(10)
    await using staying = ground().actions({ actions: plain, functions: { do: (_, { attempt }) => attempt } })
    assert.deepEqual((await settledRun(staying, run)).output, '1')
  })

  test('the runs of a turn that have not started are withdrawn, those that have end', async () => {
    const gate = Promise.withResolvers<string>()
    const started = Promise.withResolvers<void>()
    const specs = { do_it: actionSpec('do', { order: 'conversation' }) }
    const held: Executor = () => {
      started.resolve()
      return gate.promise
    }
    await using actions = ground().actions({ actions: specs, functions: { do: held } })
    const turn = `turn_withdrawn_${Math.random()}`
    const conversation = `conv_${Math.random()}`
    const ask = (index: number) =>
      actions.dispatch(callOf(versionOf(specs), 'do_it', { turn, conversation, key: `${turn}/0/${index}` }))
    const [running, waiting] = [await ask(0), await ask(1)]
    await started.promise
    await actions.withdraw(turn)
    assert.equal((await settledRun(actions, waiting)).status, 'cancelled')
    gate.resolve('done')
    assert.equal((await settledRun(actions, running)).status, 'succeeded')
  })

  test('a result that comes after its turn went on is reported once, whoever takes it', async () => {
    const gate = Promise.withResolvers<string>()
    await using one = ground().actions({ actions: plain, functions: { do: () => gate.promise } })
    await using two = ground().actions({ actions: plain, works: false })
    const call = callOf(versionOf(plain), 'do_it', { conversation: `conv_late_${Math.random()}` })
    const run = await one.dispatch(call)
    const take = async (replica: Pick<typeof one, 'takeFollowUps'>) =>
      (await replica.takeFollowUps(100, 60_000)).filter(({ conversation }) => conversation === call.conversation)
    const woken = new Promise<void>((resolve) => two.onFollowUp(resolve))
    const seen = await one.settled(run, { mostMs: 30 }, new AbortController().signal, () => {})
    assert.ok(seen.status === 'running' || seen.status === 'queued')
    assert.deepEqual(await take(two), [])
    gate.resolve('late')
    await woken
    const taken = (await Promise.all([one, two].map(take))).flat()
    const [followUp] = taken
    assert.equal(taken.length, 1)
    assert.deepEqual(
      [followUp?.turn, followUp?.conversation, followUp?.principal.id, followUp?.runs[0]?.output],
      [call.turn, call.conversation, 'ada', '"late"'],
    )
    await ground().sql.query('system', 'UPDATE follow_ups SET lease_until = 0')
    const [again] = await take(two)
    assert.equal(again?.id, followUp?.id)
    await two.followUpDone(String(followUp?.id))
    await ground().sql.query('system', 'UPDATE follow_ups SET lease_until = 0')
    assert.deepEqual(await take(one), [])
  })

  test('whose key was destroyed leaves the course of its runs, and holds up nobody', async () => {
    const run = await doneRun()
    const fresh = createSeal(randomBytes(32), { afterErasure: true })
    const functions = { do: () => 'done' }
    await using actions = ground().actions({ actions: plain, functions, sealOf: async () => fresh })
    const view = await actions.get(person('ada'), run.id)
    assert.deepEqual([view.status, view.arguments, view.result, view.owner.id], ['succeeded', {}, null, 'ada'])
    const due = 'INSERT INTO follow_ups (run, version, tenant, turn) VALUES ($1, $2, $3, $4)'
    await ground().sql.query('system', due, [run.id, view.version, 'local', 'turn_erased'])
    assert.deepEqual(await takenOf(actions, run.id), [])
    assert.equal((await ground().sql.query('system', 'SELECT run FROM follow_ups WHERE run = $1', [run.id])).length, 0)
    await ground().sql.query(
      'system',
      `UPDATE runs SET status = 'running', settled_at = NULL, due_at = 1 WHERE id = $1`,
      [run.id],
    )
    await until(async () => (await actions.get(person('ada'), run.id)).status === 'failed')
    const next = await actions.dispatch(callOf(versionOf(plain), 'do_it'))
    assert.equal((await settledRun(actions, next)).status, 'succeeded')
    await ground().sql.query('system', 'DELETE FROM runs WHERE id = $1', [next.id])
  })

  test('a run whose key is missing on a replica waits for it, and is done at its first attempt', async () => {
    const run = await unheard()
    let isShut = true
    const sealOf = async () => {
      if (isShut) throw new ParleyError('sealed_unreadable')
      return ground().seal
    }
    await overdue(run.id)
    await using actions = ground().actions({ actions: plain, functions: { do: () => 'done' }, sealOf })
    const asked = `SELECT 1 FROM runs WHERE id = $1 AND status = 'retrying' AND reason = 'sealed_unreadable' AND attempt = 0`
    await until(async () => (await ground().sql.query('system', asked, [run.id])).length === 1)
    isShut = false
    await hurry(ground().sql, run.id)
    assert.equal((await settledRun(actions, run)).status, 'succeeded')
    assert.equal((await actions.get(person('ada'), run.id)).attempts.length, 1)
  })

  test('whose key cannot be had says so, and its late results wait without holding up others', async () => {
    const [shut, sound] = [await doneRun(), await doneRun()]
    await using actions = ground().actions({ actions: plain, works: false })
    await ground().sql.query('system', `UPDATE runs SET input = '\\x00' WHERE id = $1`, [shut.id])
    await assert.rejects(actions.get(person('ada'), shut.id), { code: 'sealed_unreadable' })
    const due =
      'INSERT INTO follow_ups (run, version, tenant, turn) SELECT id, version, tenant, turn FROM runs WHERE id = $1'
    for (const { id } of [shut, sound]) await ground().sql.query('system', due, [id])
    assert.deepEqual(await takenOf(actions, shut.id, sound.id), [sound.id])
    const waiting = 'SELECT run FROM follow_ups WHERE run = $1'
    assert.equal((await ground().sql.query('system', waiting, [shut.id])).length, 1)
    await ground().sql.query('system', 'DELETE FROM follow_ups')
    await ground().sql.query('system', 'DELETE FROM runs WHERE id = $1', [shut.id])
  })

  test('names that no database takes harm nobody who asks at the same time', async () => {
    await using actions = ground().actions({ actions: plain, functions: { do: () => 'done' } })
    const [odd, sound] = await Promise.all([
      actions.dispatch(callOf(versionOf(plain), 'a\u0000b\ud800\n')),
      actions.dispatch(callOf(versionOf(plain), 'do_it')),
    ])
    assert.deepEqual([odd.status, odd.action], ['rejected', 'a?b??'])
    assert.equal((await settledRun(actions, sound)).status, 'succeeded')
  })

  test('a turn that ends while it waits is told later, and so is what becomes of a dead letter that is replayed', async () => {
    let away = true
    const gate = Promise.withResolvers<string>()
    const specs = { do_it: actionSpec('do'), dead: actionSpec('dead', { retries: 0 }) }
    const dead: Executor = () => {
      if (away) throw new PassingError('Away.', { reason: 'connect_failed' })
      return 'back'
    }
    await using actions = ground().actions({ actions: specs, functions: { do: () => gate.promise, dead } })
    const conversation = `conv_ended_${Math.random()}`
    const run = await actions.dispatch(callOf(versionOf(specs), 'do_it', { conversation }))
    const ended = new AbortController()
    const waiting = actions.settled(run, { mostMs: 10_000 }, ended.signal, () => {})
    ended.abort(new Error('The turn has ended.'))
    await assert.rejects(waiting, /The turn has ended/)
    gate.resolve('after all')
    const reported = async (id: string) => {
      const found: string[] = []
      await until(async () => {
        const taken = await actions.takeFollowUps(10, 60_000)
        found.push(
          ...taken.flatMap(({ runs }) => runs).flatMap((each) => (each.id === id ? [String(each.output)] : [])),
        )
        return found.length > 0
      })
      return found
    }
    assert.deepEqual(await reported(run.id), ['"after all"'])
    // It came to rest before the turn heard of it, and the turn ended then.
    const unheard = await actions.dispatch(callOf(versionOf(specs), 'do_it', { conversation }))
    await settledRun(actions, unheard)
    const over = AbortSignal.abort(new Error('It has ended.'))
    await assert.rejects(
      actions.settled({ ...unheard, status: 'queued' }, { mostMs: 10_000 }, over, () => {}),
      /has ended/,
    )
    assert.deepEqual(await reported(unheard.id), ['"after all"'])
    // All producers of its turn died, and nobody waits for it.
    const lost = callOf(versionOf(specs), 'do_it', { conversation })
    const orphan = await actions.dispatch(lost)
    await settledRun(actions, orphan)
    await actions.reportLater(lost.principal, lost.turn)
    assert.deepEqual(await reported(orphan.id), ['"after all"'])
    const letter = await actions.dispatch(callOf(versionOf(specs), 'dead', { conversation }))
    assert.equal((await settledRun(actions, letter)).status, 'dead-lettered')
    away = false
    await actions.replay(person('root', ['Admin']), letter.id)
    assert.deepEqual(await reported(letter.id), ['"back"'])
  })

  test('a run asked for at one replica is executed by another, and the first hears of it', async () => {
    await using asking = ground().actions({ actions: plain, works: false })
    await using working = ground().actions({ actions: plain, functions: { do: () => 'elsewhere' } })
    const run = await asking.dispatch(callOf(versionOf(plain), 'do_it'))
    assert.equal((await settledRun(asking, run)).output, '"elsewhere"')
    assert.equal((await working.get(person('ada'), run.id)).status, 'succeeded')
  })
}
