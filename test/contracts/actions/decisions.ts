import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorrectableError, type Executor, PassingError } from '../../../src/actions/executors/executor.ts'
import type { Run } from '../../../src/actions/port.ts'
import { readRun } from '../../../src/actions/runs/reads.ts'
import type { ActionSpec } from '../../../src/config/action-spec.ts'
import type { Sql } from '../../../src/platform/sql/sql.ts'
import {
  actionSpec,
  callOf,
  type Ground,
  hurry,
  person,
  settledRun,
  until,
  versionOf,
} from '../../support/runs-at-hand.ts'

const approver = person('carl', ['Action.Approver'])
const admin = person('root', ['Admin'])
const write = (more: Partial<ActionSpec> = {}) => ({ do_it: actionSpec('do', { access: 'write', ...more }) })
const seen: unknown[] = []
const note: Executor = (args) => {
  seen.push(args)
  return 'done'
}

/** What people decide on runs. */
export function decisionsSuite(ground: () => Ground): void {
  const open = (actions: Record<string, ActionSpec>) => ground().actions({ actions, functions: { do: note } })

  async function pending(
    specs: Record<string, ActionSpec> = write({ approval: {} }),
    change: Parameters<typeof callOf>[2] = {},
  ) {
    const actions = open(specs)
    const run = await actions.dispatch(callOf(versionOf(specs), 'do_it', change))
    return { actions, run, [Symbol.asyncDispose]: () => actions[Symbol.asyncDispose]() }
  }

  test('a run waits for approval, names what is approved, and runs once it is', async () => {
    await using held = await pending()
    const { actions, run } = held
    assert.equal(run.status, 'awaiting-approval')
    assert.match(String(run.approval?.hash), /^[0-9a-f]{64}$/)
    assert.deepEqual(run.approval?.roles, ['Action.Approver'])
    const before = seen.length
    const { items } = await actions.list(approver, { limit: 100, whose: 'to-approve' })
    assert.ok(items.some(({ id }) => id === run.id))
    const hash = String(run.approval?.hash)
    for (const [who, code] of [
      [person('ada', ['Action.Approver']), 'forbidden'],
      [person('ada'), 'forbidden'],
      [person('bob'), 'run_not_found'],
    ] as const) {
      await assert.rejects(actions.approve(who, run.id, { hash }), { code })
    }
    await assert.rejects(actions.approve(approver, run.id, { hash: '0'.repeat(64) }), { code: 'approval_changed' })
    assert.equal(seen.length, before)
    const approved = await actions.approve(approver, run.id, { hash })
    assert.deepEqual([approved.approval?.decision, approved.approval?.decidedBy?.id], ['approved', 'carl'])
    assert.equal((await settledRun(actions, { ...run, status: 'queued' })).status, 'succeeded')
    await assert.rejects(actions.approve(approver, run.id, { hash }), { code: 'run_state' })
    assert.equal(seen.length, before + 1)
  })

  test('what may be edited is edited into a new revision, which is validated; the rest is fixed', async () => {
    await using held = await pending(write({ approval: { editable: ['title'] } }), {
      arguments: '{"x":1,"title":"old"}',
    })
    const { actions, run } = held
    const hash = String(run.approval?.hash)
    const edit = (edited: Record<string, unknown>) => actions.approve(approver, run.id, { hash, edited })
    await assert.rejects(edit({ x: 2 }), { code: 'arguments_invalid', param: 'edited.x' })
    await assert.rejects(edit({ title: 'longer than twenty characters' }), { code: 'arguments_invalid' })
    const approved = await edit({ title: 'new' })
    assert.deepEqual([approved.revision, approved.arguments], [2, { x: 1, title: 'new' }])
    assert.notEqual(approved.argumentsHash, hash)
    await settledRun(actions, { ...run, status: 'queued' })
    assert.deepEqual(seen.at(-1), { x: 1, title: 'new' })
  })

  test('what would happen is shown to whoever decides, in the name of who asks, and anew when that is edited', async () => {
    const specs = write({ approval: { when: { x: [1] }, roles: ['Admin'], editable: ['x'] } })
    const said = new Map<unknown, PromiseWithResolvers<string>>()
    const preview: Executor = async ({ x }, { principal, userToken }) => {
      const token = await userToken('api://desk')
      return {
        x,
        costs: await said.getOrInsertComputed(x, () => Promise.withResolvers()).promise,
        for: principal.id,
        token,
      }
    }
    await using actions = ground().actions({
      ...{ actions: specs, functions: { do: note }, dryRuns: { do: preview } },
      userToken: async ({ id }, scope) => `${id} at ${scope}`,
    })
    const run = await actions.dispatch(callOf(versionOf(specs), 'do_it', { arguments: '{"x":2}', untrusted: true }))
    const changes = actions.follow(person('ada'), run.id, new AbortController().signal)[Symbol.asyncIterator]()
    const next = async () => (await changes.next()).value
    assert.equal((await next())?.approval?.preview, null)
    await until(() => said.has(2))
    said.get(2)?.resolve('2 EUR')
    const shown = { for: 'ada', token: 'ada at api://desk' }
    assert.deepEqual((await next())?.approval?.preview, { x: 2, costs: '2 EUR', ...shown })
    // By its rule somebody else has to decide now.
    const hash = String(run.approval?.hash)
    const edited = await actions.approve(approver, run.id, { hash, edited: { x: 1 } })
    assert.deepEqual([edited.status, edited.approval?.preview], ['awaiting-approval', null])
    assert.equal((await next())?.approval?.preview, null)
    await until(() => said.has(1))
    said.get(1)?.resolve('1 EUR')
    assert.deepEqual((await next())?.approval?.preview, { x: 1, costs: '1 EUR', ...shown })
    await actions.cancel(person('ada'), run.id)
  })

  test('a preview that comes while somebody decides is in nobody’s way', async () => {
    const specs = write({ approval: {} })
    const shown = Promise.withResolvers<string>()
    let isRead = false
    const { sql } = ground()
    /** Between what the approver has read and the decision on it. */
    const slow: Sql = {
      ...{ engine: sql.engine, reachable: true, close: async () => {} },
      query: (...args) => sql.query(...args),
      transaction: async (scope, work) => {
        if (!isRead) {
          isRead = true
          shown.resolve('2 EUR')
          await until(async () => (await readRun(sql, { tenant: 'local' }, run.id))?.version === 2)
        }
        return sql.transaction(scope, work)
      },
    }
    await using asking = ground().actions({ actions: specs, works: false, dryRuns: { do: () => shown.promise } })
    const run = await asking.dispatch(callOf(versionOf(specs), 'do_it'))
    await using deciding = ground().actions({ actions: specs, functions: { do: note }, sql: slow })
    const approved = await deciding.approve(approver, run.id, { hash: String(run.approval?.hash) })
    assert.deepEqual([approved.approval?.decision, approved.approval?.preview], ['approved', '2 EUR'])
    assert.equal((await settledRun(deciding, { ...run, status: 'queued' })).status, 'succeeded')
  })

  test('nothing is asked in the name of somebody whose key has ended', async () => {
    const specs = write({ approval: {} })
    let asked = 0
    const live = new Set<string>()
    await using actions = ground().actions({
      ...{ actions: specs, functions: { do: note }, isLive: async ({ id }) => live.has(id) },
      dryRuns: { do: async () => `asked ${++asked}` },
    })
    const ended = await actions.dispatch(callOf(versionOf(specs), 'do_it'))
    live.add('bob')
    const run = await actions.dispatch(callOf(versionOf(specs), 'do_it', { principal: person('bob') }))
    const shown = await until(async () => (await actions.get(approver, run.id)).approval?.preview)
    assert.deepEqual([shown, (await actions.get(approver, ended.id)).approval?.preview], ['asked 1', null])
    for (const { id } of [ended, run]) await actions.reject(approver, id, 'No.')
  })

  test('a target that cannot say what would happen keeps nobody from deciding', async () => {
    const specs = write({ approval: {} })
    const preview: Executor = () => {
      throw new Error('Busy.')
    }
    await using actions = ground().actions({ actions: specs, functions: { do: note }, dryRuns: { do: preview } })
    const run = await actions.dispatch(callOf(versionOf(specs), 'do_it'))
    const isTold = ({ run: id, msg }: Record<string, unknown>) =>
      id === run.id && msg === 'A run could not be previewed'
    await until(() => ground().lines.some(isTold))
    const approved = await actions.approve(approver, run.id, { hash: String(run.approval?.hash) })
    assert.equal(approved.approval?.preview, null)
    assert.equal((await settledRun(actions, { ...run, status: 'queued' })).status, 'succeeded')
  })

  test('a rejection says why, and the model is told', async () => {
    await using held = await pending()
    const { actions, run } = held
    await assert.rejects(actions.reject(person('ada'), run.id, 'no'), { code: 'forbidden' })
    await actions.reject(approver, run.id, 'Not before Friday.')
    const end = await settledRun(actions, run)
    assert.deepEqual([end.status, end.output], ['rejected', 'It was not approved: Not before Friday.'])
  })

  test('an approval that nobody gives expires', async () => {
    await using held = await pending()
    const { actions, run } = held
    const hash = String(run.approval?.hash)
    const past = `UPDATE runs SET approval = jsonb_set(approval, '{expiresAt}', '1') WHERE id = $1`
    await ground().sql.query('system', past, [run.id])
    await assert.rejects(actions.approve(approver, run.id, { hash }), { code: 'run_state' })
    await ground().sql.query('system', 'UPDATE runs SET due_at = 1 WHERE id = $1', [run.id])
    assert.equal((await settledRun(actions, run)).status, 'expired')
  })

  test('by rule: the values of arguments, the roles of who asks, and whether strangers spoke', async () => {
    const rule = write({ approval: { when: { title: ['big'] }, unlessRoles: ['Admin'] } })
    const cases: [string, Record<string, ActionSpec>, Parameters<typeof callOf>[2], string][] = [
      ['another value', rule, { arguments: '{"title":"small"}' }, 'queued'],
      ['the value', rule, { arguments: '{"title":"big"}' }, 'awaiting-approval'],
      ['an exempt role', rule, { arguments: '{"title":"big"}', principal: person('ada', ['Admin']) }, 'queued'],
      ['strangers spoke', write(), { untrusted: true }, 'awaiting-approval'],
      ['strangers spoke, and it opts out', write({ afterUntrusted: 'allowed' }), { untrusted: true }, 'queued'],
      ['strangers spoke, and it only reads', { do_it: actionSpec('do') }, { untrusted: true }, 'queued'],
    ]
    for (const [what, specs, change, status] of cases) {
      await using held = await pending(specs, change)
      assert.equal(held.run.status, status, what)
      if (status === 'queued') await settledRun(held.actions, held.run)
    }
    await using confirmed = await pending(write(), { untrusted: true })
    const { actions, run } = confirmed
    await actions.approve(person('ada'), run.id, { hash: String(run.approval?.hash) })
    assert.equal((await settledRun(actions, { ...run, status: 'queued' })).status, 'succeeded')
  })

  test('approval outlasts every process, and an ordered run that waits for it blocks those behind it', async () => {
    const specs = write({ order: 'conversation', approval: { when: { x: [1] } } })
    const conversation = `conv_${Math.random()}`
    let first = ''
    let hash = ''
    {
      await using held = await pending(specs, { conversation, arguments: '{"x":1}' })
      first = held.run.id
      hash = String(held.run.approval?.hash)
    }
    await using actions = open(specs)
    const second = await actions.dispatch(callOf(versionOf(specs), 'do_it', { conversation, arguments: '{"x":2}' }))
    assert.equal((await actions.get(approver, second.id)).blockedBy, first)
    const third = await actions.dispatch(callOf(versionOf(specs), 'do_it', { conversation, arguments: '{"x":3}' }))
    assert.equal((await actions.get(approver, third.id)).blockedBy, first)
    await actions.approve(approver, first, { hash })
    for (const run of [second, third]) assert.equal((await settledRun(actions, run)).status, 'succeeded')
    assert.deepEqual(seen.slice(-3), [{ x: 1 }, { x: 2 }, { x: 3 }])
  })

  test('a dead letter blocks its order until it is discarded', async () => {
    const specs = { do_it: actionSpec('do', { order: 'conversation', retries: 0, timeoutMs: 20 }) }
    const stuck: Executor = ({ x }) => (x === 1 ? new Promise(() => {}) : 'done')
    await using actions = ground().actions({ actions: specs, functions: { do: stuck } })
    const conversation = `conv_${Math.random()}`
    const ask = (x: number) =>
      actions.dispatch(callOf(versionOf(specs), 'do_it', { conversation, arguments: `{"x":${x}}` }))
    const [first, second] = [await ask(1), await ask(2)]
    assert.equal((await settledRun(actions, first)).status, 'dead-lettered')
    assert.equal((await actions.get(admin, second.id)).blockedBy, first.id)
    await assert.rejects(actions.discard(person('ada'), first.id, 'no'), { code: 'forbidden' })
    assert.equal((await actions.discard(admin, first.id, 'Nobody wants it.')).status, 'discarded')
    assert.equal((await settledRun(actions, second)).status, 'succeeded')
  })

  test('however an ordered run ends, it leaves the way free; where nobody knows how, a person does', async () => {
    const order = { order: 'conversation', effect: 'at-most-once' } as const
    const specs = {
      ask_first: actionSpec('do', { ...order, access: 'write', approval: {} }),
      act: actionSpec('do', { ...order, access: 'write' }),
    }
    const act: Executor = async ({ x }, { begin }) => {
      if (x === 1) throw new CorrectableError('No.')
      await begin()
      if (x === 2) throw new PassingError('Cut off.', { reason: 'cut_off' })
      return 'done'
    }
    await using actions = ground().actions({ actions: specs, functions: { do: act } })
    const conversation = `conv_${Math.random()}`
    const ask = (name: string, x: number) =>
      actions.dispatch(callOf(versionOf(specs), name, { conversation, arguments: `{"x":${x}}` }))
    const runs: Run[] = []
    for (const name of ['ask_first', 'ask_first', 'ask_first', 'act', 'act', 'act']) {
      runs.push(await ask(name, Math.max(0, runs.length - 2)))
    }
    const [rejected, cancelled, expired, failed, unknown, last] = runs
    assert.ok(rejected && cancelled && expired && failed && unknown && last)
    const blockerOfLast = async () => (await actions.get(admin, last.id)).blockedBy
    assert.equal(await blockerOfLast(), rejected.id)
    await actions.reject(approver, rejected.id, 'No.')
    assert.equal(await blockerOfLast(), cancelled.id)
    await actions.cancel(person('ada'), cancelled.id)
    assert.equal(await blockerOfLast(), expired.id)
    await ground().sql.query('system', 'UPDATE runs SET due_at = 1 WHERE id = $1', [expired.id])
    assert.equal((await settledRun(actions, unknown)).status, 'unknown')
    assert.equal((await actions.get(admin, failed.id)).status, 'failed')
    const { status, blockedBy } = await actions.get(admin, last.id)
    assert.deepEqual([status, blockedBy], ['queued', unknown.id])
    await actions.settle(admin, unknown.id, { status: 'failed', note: 'It is not there.' })
    assert.equal((await settledRun(actions, last)).status, 'succeeded')
  })

  test('all dead letters of an action are replayed at once', async () => {
    let away = true
    const name = `act_${String(Math.random()).slice(2)}`
    const specs = { [name]: actionSpec('do', { retries: 0, timeoutMs: 20 }) }
    await using actions = ground().actions({
      actions: specs,
      functions: { do: () => (away ? new Promise(() => {}) : 'done') },
    })
    const runs = await Promise.all([1, 2, 3].map(() => actions.dispatch(callOf(versionOf(specs), name))))
    for (const run of runs) assert.equal((await settledRun(actions, run)).status, 'dead-lettered')
    away = false
    await assert.rejects(actions.replayAll(person('ada'), { action: name, limit: 10 }), { code: 'forbidden' })
    assert.deepEqual(await actions.replayAll(admin, { action: name, limit: 2 }), { replayed: 2, more: true })
    assert.deepEqual(await actions.replayAll(admin, { action: name, limit: 1 }), { replayed: 1, more: false })
    for (const run of runs) assert.equal((await settledRun(actions, { ...run, status: 'queued' })).status, 'succeeded')
  })

  test('one cancels what one has asked for, before it starts', async () => {
    await using held = await pending()
    const { actions, run } = held
    await assert.rejects(actions.cancel(approver, run.id), { code: 'forbidden' })
    assert.equal((await actions.cancel(person('ada'), run.id)).status, 'cancelled')
    await assert.rejects(actions.cancel(person('ada'), run.id), { code: 'run_state' })
  })

  for (const [effect, becomes] of [
    ['idempotent', 'succeeded'],
    ['at-most-once', 'cancelled'],
  ] as const) {
    test(`between two attempts, ${effect}: called off only if none may have had its effect`, async () => {
      const specs = { do_it: actionSpec('do', { access: 'write', effect }) }
      const busy: Executor = async (_, { begin, attempt }) => {
        await begin()
        if (attempt > 1) return 'done'
        const untouched = effect === 'at-most-once'
        throw new PassingError('Not yet.', { reason: 'busy', untouched, retryAfterMs: 600_000 })
      }
      await using actions = ground().actions({ actions: specs, functions: { do: busy } })
      const call = callOf(versionOf(specs), 'do_it', { turn: `turn_${Math.random()}` })
      const run = await actions.dispatch(call)
      const [ada, isSettled] = [person('ada'), async () => (await actions.get(ada, run.id)).settledAt !== null]
      await until(async () => (await actions.get(ada, run.id)).status === 'retrying')
      if (effect === 'idempotent') await assert.rejects(actions.cancel(ada, run.id), { code: 'run_state' })
      await actions.withdraw(call.turn)
      assert.equal(await isSettled(), effect === 'at-most-once')
      // As if its time had come, also for a message: the one that is scheduled comes much later.
      await hurry(ground().sql, run.id)
      assert.equal((await settledRun(actions, run)).status, becomes)
    })
  }

  test('of two who decide at once one is heard', async () => {
    await using held = await pending()
    const { actions, run } = held
    const hash = String(run.approval?.hash)
    const decisions = await Promise.allSettled([
      actions.approve(approver, run.id, { hash }),
      actions.reject(approver, run.id, 'no'),
      actions.approve(approver, run.id, { hash }),
    ])
    assert.equal(decisions.filter(({ status }) => status === 'fulfilled').length, 1)
  })

  test('a run is followed to its end, and pages are turned without a gap', async () => {
    await using held = await pending()
    const { actions, run } = held
    const statuses: string[] = []
    for await (const view of actions.follow(person('ada'), run.id, new AbortController().signal)) {
      statuses.push(view.status)
      if (view.status === 'awaiting-approval') {
        await actions.approve(approver, run.id, { hash: view.argumentsHash })
      }
    }
    assert.deepEqual([statuses[0], statuses.at(-1)], ['awaiting-approval', 'succeeded'])
    const ids: string[] = []
    let cursor: string | null = null
    do {
      const page = await actions.list(person('ada'), { limit: 7, whose: 'mine', ...(cursor !== null && { cursor }) })
      ids.push(...page.items.map(({ id }) => id))
      cursor = page.next
    } while (cursor !== null)
    assert.equal(new Set(ids).size, ids.length)
    const [all] = await ground().sql.query<{ count: number }>(
      'system',
      `SELECT count(*) AS count FROM runs WHERE tenant = 'local' AND owner = 'ada'`,
    )
    assert.equal(ids.length, all?.count)
  })
}
