import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorrectableError, type Executor, PassingError } from '../../../src/actions/executors/executor.ts'
import type { Run } from '../../../src/actions/port.ts'
import {
  actionSpec,
  callOf,
  deafQueue,
  type Ground,
  person,
  type ReplicaOptions,
  settledRun,
  versionOf,
} from '../../support/runs-at-hand.ts'

/** Executors that wait until they are let go. */
function held() {
  const started: PromiseWithResolvers<unknown>[] = []
  const watchers: (() => void)[] = []
  const executor: Executor = () => {
    const gate = Promise.withResolvers<unknown>()
    started.push(gate)
    for (const watcher of watchers.splice(0)) watcher()
    return gate.promise
  }
  const count = async (wanted: number) => {
    while (started.length < wanted) await new Promise<void>((resolve) => watchers.push(resolve))
  }
  return { executor, started, count }
}

const version = versionOf({ do_it: actionSpec('do'), other: actionSpec('other') })
const { document } = version

/** How runs come to be, execute and end. */
export function executionSuite(ground: () => Ground): void {
  const open = (functions: Record<string, Executor>, actions = document.actions ?? {}) =>
    ground().actions({ functions, actions })

  test('a run is executed once, and its result comes back', async () => {
    const seen: unknown[] = []
    await using actions = open({
      do: (args, { attempt, principal }) => seen.push([args, attempt, principal.id]) && { y: 2 },
    })
    const call = callOf(version, 'do_it')
    const run = await actions.dispatch(call)
    assert.equal(run.status, 'queued')
    const end = await settledRun(actions, run)
    assert.deepEqual([end.status, end.output], ['succeeded', '{"y":2}'])
    assert.deepEqual(seen, [[{ x: 1 }, 1, 'ada']])
    const view = await actions.get(call.principal, run.id)
    assert.deepEqual([view.status, view.result, view.attempts.length, view.turn], ['succeeded', { y: 2 }, 1, call.turn])
    assert.equal(view.attempts[0]?.outcome, 'succeeded')
    assert.deepEqual(view.arguments, { x: 1 })
  })

  test('the same key is the same run, whoever asks again and however often', async () => {
    let executed = 0
    await using actions = open({ do: () => ++executed })
    const call = callOf(version, 'do_it')
    const runs = await Promise.all(Array.from({ length: 5 }, () => actions.dispatch(call)))
    assert.equal(new Set(runs.map(({ id }) => id)).size, 1)
    const [run] = runs
    assert.ok(run)
    await settledRun(actions, run)
    const again = await actions.dispatch(call)
    assert.deepEqual([again.id, again.status, again.output], [run.id, 'succeeded', '1'])
    const others = await actions.dispatch({ ...call, principal: person('bob') })
    assert.notEqual(others.id, run.id)
    assert.equal((await settledRun(actions, others)).output, '2')
  })

  const refusals: [string, Parameters<typeof callOf>[2], string][] = [
    ['an unknown action', {}, 'There is no such action. There are: do_it, other.'],
    ['arguments that do not fit', { arguments: '{"x":"1"}' }, 'x must be a number'],
    ['arguments that are no JSON', { arguments: '{' }, 'have to be one JSON object'],
    ['a prototype', { arguments: '{"__proto__":{"x":1}}' }, '__proto__ is not known here'],
  ]
  for (const [what, change, output] of refusals) {
    test(`refused, recorded and never executed: ${what}`, async () => {
      let executed = 0
      await using actions = open({ do: () => ++executed })
      const action = what === 'an unknown action' ? 'do_that' : 'do_it'
      const run = await actions.dispatch(callOf(version, action, change))
      assert.equal(run.status, 'rejected')
      assert.ok(run.output?.includes(output), String(run.output))
      assert.equal((await actions.get(person('ada'), run.id)).status, 'rejected')
      assert.equal(executed, 0)
    })
  }

  test('what changes something is refused in a turn that may only read, and to those without the role', async () => {
    const specs = { write: actionSpec('do', { access: 'write' }), special: actionSpec('do', { roles: ['Admin'] }) }
    const config = versionOf(specs)
    await using actions = open({ do: () => 'executed' }, specs)
    const reading = await actions.dispatch(callOf(config, 'write', { readOnly: true }))
    const unnamed = await actions.dispatch(callOf(config, 'special'))
    assert.deepEqual([reading.status, unnamed.status], ['rejected', 'rejected'])
    assert.equal((await actions.get(person('ada'), unnamed.id)).reason, 'role_missing')
    assert.deepEqual(
      actions.catalogue(person('ada'), config).map(({ name }) => name),
      ['write'],
    )
  })

  test('the calls of a turn run side by side', async () => {
    const { executor, started, count } = held()
    await using actions = open({ do: executor })
    const calls = [0, 1, 2].map((index) => callOf(version, 'do_it', { turn: 'turn_side', key: `turn_side/0/${index}` }))
    const runs = await Promise.all(calls.map((call) => actions.dispatch(call)))
    await count(3)
    for (const gate of started) gate.resolve('done')
    const ends = await Promise.all(runs.map((run) => settledRun(actions, run)))
    assert.deepEqual(
      ends.map(({ status }) => status),
      ['succeeded', 'succeeded', 'succeeded'],
    )
  })

  test('a failure that may pass is tried again, under the same key towards the target', async () => {
    const keys: string[] = []
    const specs = { do_it: actionSpec('do', { retries: 2 }) }
    const config = versionOf(specs)
    await using actions = open(
      {
        do: (_, { key, attempt }) => {
          keys.push(key)
          if (attempt < 3) throw new PassingError('Busy.', { reason: 'server_error', retryAfterMs: 1 })
          return 'at last'
        },
      },
      specs,
    )
    const statuses: string[] = []
    const run = await actions.dispatch(callOf(config, 'do_it'))
    const end = await settledRun(actions, run, ({ status }: Run) => statuses.push(status))
    assert.deepEqual([end.status, end.output], ['succeeded', '"at last"'])
    assert.deepEqual([keys.length, new Set(keys).size], [3, 1])
    assert.ok(statuses.includes('retrying'))
    const { attempts } = await actions.get(person('ada'), run.id)
    assert.deepEqual(
      attempts.map(({ outcome, reason }) => [outcome, reason]),
      [
        ['passing', 'server_error'],
        ['passing', 'server_error'],
        ['succeeded', null],
      ],
    )
  })

  test('after its last attempt a run is a dead letter with its reason; replayed, it goes on under the same key', async () => {
    const keys: string[] = []
    let away = true
    const specs = { do_it: actionSpec('do', { retries: 1 }) }
    const config = versionOf(specs)
    await using actions = open(
      {
        do: (_, { key }) => {
          keys.push(key)
          if (away) throw new PassingError('Away.', { reason: 'connect_failed', retryAfterMs: 1, untouched: true })
          return 1
        },
      },
      specs,
    )
    const run = await actions.dispatch(callOf(config, 'do_it'))
    const end = await settledRun(actions, run)
    assert.deepEqual([end.status, end.output, keys.length], ['dead-lettered', 'Away.', 2])
    const admin = person('root', ['Admin'])
    const dead = await actions.list(admin, { limit: 10, whose: 'tenant', status: 'dead-lettered' })
    assert.equal(dead.items.find(({ id }) => id === run.id)?.reason, 'connect_failed')
    await assert.rejects(actions.replay(person('ada'), run.id), { code: 'forbidden' })
    away = false
    assert.equal((await actions.replay(admin, run.id)).status, 'queued')
    assert.equal((await settledRun(actions, { ...run, status: 'queued' })).status, 'succeeded')
    assert.equal(new Set(keys).size, 1)
    await assert.rejects(actions.replay(admin, run.id), { code: 'run_state' })
  })

  test('what the caller can put right, and what is broken on our side, fails at once', async () => {
    await using actions = open({
      do: () => {
        throw new CorrectableError('There is no ticket 7.')
      },
      other: () => {
        throw new Error('secret detail')
      },
    })
    const [told, broken] = await Promise.all(
      ['do_it', 'other'].map(async (name) => settledRun(actions, await actions.dispatch(callOf(version, name)))),
    )
    assert.deepEqual([told?.status, told?.output], ['failed', 'There is no ticket 7.'])
    assert.deepEqual([broken?.status, broken?.output], ['failed', 'The action failed for a reason on our side.'])
  })

  test('an attempt that takes too long is stopped', async () => {
    let stopped = false
    const specs = { do_it: actionSpec('do', { timeoutMs: 20, retries: 0 }) }
    await using actions = open(
      {
        do: (_, { signal }) =>
          new Promise((_resolve, reject) =>
            signal.addEventListener('abort', () => {
              stopped = true
              reject(new Error('stopped'))
            }),
          ),
      },
      specs,
    )
    const end = await settledRun(actions, await actions.dispatch(callOf(versionOf(specs), 'do_it')))
    assert.equal(end.status, 'dead-lettered')
    assert.equal((await actions.get(person('ada'), end.id)).reason, 'timeout')
    assert.equal(stopped, true)
  })

  test('a result of 1 MiB is kept, one byte more is not', async () => {
    const limit = 1024 * 1024
    await using actions = open({ do: ({ x }) => 'r'.repeat(limit - 2 + Number(x)) })
    const end = async (x: number) =>
      settledRun(actions, await actions.dispatch(callOf(version, 'do_it', { arguments: `{"x":${x}}` })))
    assert.equal((await end(0)).output?.length, limit)
    const beyond = await end(1)
    assert.deepEqual(
      [beyond.status, beyond.output],
      ['failed', 'It took place, but its result is too large to be kept.'],
    )
  })

  test('a list leaves large results out and says so; the run alone has them', async () => {
    await using actions = open({ do: ({ x }) => 'r'.repeat(Number(x)) })
    const asker = person(`lister_${Math.random()}`)
    for (const x of [100, 20_000]) {
      const call = callOf(version, 'do_it', { arguments: `{"x":${x}}`, principal: asker })
      await settledRun(actions, await actions.dispatch(call))
    }
    const { items } = await actions.list(asker, { limit: 10, whose: 'mine' })
    assert.deepEqual(
      items.map(({ result, resultLeftOut }) => [String(result ?? '').length, resultLeftOut]),
      [
        [0, true],
        [100, false],
      ],
    )
    const whole = await actions.get(asker, String(items[0]?.id))
    assert.deepEqual([String(whole.result).length, whole.resultLeftOut], [20_000, false])
  })

  test('ordered runs of a conversation happen one after the other, those of others do not wait', async () => {
    const { executor, started, count } = held()
    const specs = { step: actionSpec('do', { order: 'conversation' }) }
    const config = versionOf(specs)
    await using actions = open({ do: executor }, specs)
    const conversation = `conv_order_${Math.random()}`
    const ask = (index: number, where = conversation) =>
      actions.dispatch(callOf(config, 'step', { conversation: where, arguments: `{"x":${index}}` }))
    const first = await ask(1)
    const second = await ask(2)
    const elsewhere = await ask(3, `${conversation}_other`)
    await count(2)
    const view = await actions.get(person('ada'), second.id)
    assert.deepEqual([view.status, view.blockedBy, started.length], ['queued', first.id, 2])
    started[0]?.resolve(1)
    await count(3)
    assert.equal((await settledRun(actions, first)).status, 'succeeded')
    for (const gate of started) gate.resolve(1)
    assert.equal((await settledRun(actions, second)).status, 'succeeded')
    assert.equal((await settledRun(actions, elsewhere)).status, 'succeeded')
  })

  test('ordered calls of one turn, asked for at once, happen in the order of the calls', async () => {
    const seen: unknown[] = []
    const specs = { step: actionSpec('do', { order: 'conversation' }) }
    const config = versionOf(specs)
    await using actions = open({ do: ({ x }) => seen.push(x) }, specs)
    const conversation = `conv_at_once_${Math.random()}`
    const numbers = Array.from({ length: 10 }, (_, x) => x)
    const ask = (x: number) => actions.dispatch(callOf(config, 'step', { conversation, arguments: `{"x":${x}}` }))
    const runs = await Promise.all(numbers.map(ask))
    for (const run of runs) assert.equal((await settledRun(actions, run)).status, 'succeeded')
    assert.deepEqual(seen, numbers)
  })

  test('a key of a program holds for a day, for the same arguments only', async () => {
    await using actions = open({ do: ({ x }) => x })
    const ask = (x: number, key: string | undefined = 'k') =>
      actions.start(person('eve'), {
        action: 'do_it',
        arguments: { x },
        key,
        traceparent: undefined,
      })
    const first = await ask(1)
    assert.equal((await ask(1)).id, first.id)
    await assert.rejects(ask(2), { code: 'idempotency_mismatch' })
    assert.notEqual((await ask(2, 'other')).id, first.id)
    await ground().sql.query('system', 'UPDATE runs SET created_at = created_at - 86400001 WHERE id = $1', [first.id])
    assert.notEqual((await ask(2)).id, first.id)
  })

  test('a program that asks again is given its run, whatever has become since of its action and of the room for more', async () => {
    const asked = { action: 'do_it', arguments: { x: 1 }, key: `again-${Math.random()}`, traceparent: undefined }
    await using open = ground().actions({
      actions: document.actions ?? {},
      works: false,
      queue: deafQueue(ground().queue),
    })
    const { id } = await open.start(person('ada'), asked)
    const narrower = { type: 'object', additionalProperties: false, properties: { title: { type: 'string' } } }
    const replicas: [options: ReplicaOptions, refusal: string][] = [
      [{ actions: document.actions ?? {}, maxWaiting: 0 }, 'runs_full'],
      [{ actions: {} }, 'action_not_found'],
      [{ actions: { do_it: actionSpec('do', { parameters: narrower }) } }, 'arguments_invalid'],
      [{ actions: { do_it: actionSpec('do', { roles: ['Admin'] }) } }, 'forbidden'],
    ]
    for (const [options, refusal] of replicas) {
      await using other = ground().actions({ ...options, works: false })
      assert.equal((await other.start(person('ada'), asked)).id, id, refusal)
      for (const change of [{ key: `${asked.key}!` }, { key: undefined }, { arguments: { x: 2 } }]) {
        await assert.rejects(other.start(person('ada'), { ...asked, ...change }), { code: refusal })
      }
      await assert.rejects(other.start(person('eve'), asked), { code: refusal })
    }
    await ground().sql.query('system', 'UPDATE runs SET created_at = created_at - 86400001 WHERE id = $1', [id])
    await using later = ground().actions({ actions: {}, works: false })
    await assert.rejects(later.start(person('ada'), asked), { code: 'action_not_found' })
    await open.cancel(person('ada'), id)
  })

  test('runs of others are not found, in the tenant or out of it; who may decide sees them', async () => {
    await using actions = open({ do: () => 1 })
    const run = await actions.dispatch(callOf(version, 'do_it'))
    await settledRun(actions, run)
    for (const stranger of [person('bob'), person('ada', ['Admin'], 'elsewhere')]) {
      await assert.rejects(actions.get(stranger, run.id), { code: 'run_not_found' })
      await assert.rejects(actions.cancel(stranger, run.id), { code: 'run_not_found' })
    }
    assert.equal((await actions.get(person('carl', ['Action.Approver']), run.id)).id, run.id)
    await assert.rejects(actions.list(person('bob'), { limit: 10, whose: 'tenant' }), { code: 'forbidden' })
  })
}
