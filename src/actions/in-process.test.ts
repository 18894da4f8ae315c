import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { ActionSpec } from '#config/action-spec.ts'
import type { ConfigVersion } from '#config/document.ts'
import { capturedLog } from '../../test/support/captured-log.ts'
import { manualClock } from '../../test/support/clock.ts'
import { CorrectableError, type Executor } from './executors/executor.ts'
import { createInProcessActions } from './in-process.ts'
import type { ActionCall, Run } from './port.ts'

const { signal: never } = new AbortController()
const ignore = () => {}

function action(builtin: string, more: Partial<ActionSpec> = {}): ActionSpec {
  const parameters = { type: 'object', additionalProperties: false, properties: { x: { type: 'number' } } }
  return { description: `Does ${builtin}`, builtin, parameters, access: 'read', ...more }
}

function configOf(actions: Record<string, ActionSpec>, offered = Object.keys(actions)): ConfigVersion {
  const apollo = { title: 'Apollo', instructions: 'Help.', route: 'default', actions: offered }
  const idle = { title: 'Idle', instructions: 'Help.', route: 'default' }
  return {
    name: 'v1',
    hash: '',
    document: { description: '', models: {}, routes: {}, specialists: { apollo, idle }, actions },
  }
}

/** Actions over one executor, named `do`. */
function opened(executor: Executor = ({ x }) => ({ x })) {
  const clock = manualClock()
  const { log, lines } = capturedLog()
  const actions = createInProcessActions({ clock, log, executors: new Map([['do', executor]]) })
  let calls = 0
  const dispatch = (change: Partial<ActionCall> = {}) =>
    actions.dispatch({
      key: `turn/0/${calls++}`,
      turn: 'turn',
      conversation: undefined,
      principal: { tenant: 'local', id: 'local', name: 'Local', kind: 'user', roles: [], scopes: [] },
      config: configOf({ do_it: action('do') }),
      specialist: 'apollo',
      action: 'do_it',
      arguments: '{"x":1}',
      readOnly: false,
      untrusted: false,
      ...change,
    })
  const end = (run: Run) => actions.settled(run, 60_000, never, ignore)
  return { clock, lines, actions, dispatch, end }
}

/** An executor that waits until it is let go. */
function held() {
  const gates: PromiseWithResolvers<unknown>[] = []
  const signals: AbortSignal[] = []
  const executor: Executor = (_, { signal }) => {
    const gate = Promise.withResolvers<unknown>()
    gates.push(gate)
    signals.push(signal)
    return gate.promise
  }
  return { executor, gates, signals }
}

test('a specialist offers its actions in the shape of OpenAI, others none', () => {
  const { actions } = opened()
  const config = configOf({ a: action('do'), b: action('do') }, ['b', 'gone'])
  const { description, parameters } = action('do')
  assert.deepEqual(actions.tools(config, 'apollo'), [
    { type: 'function', function: { name: 'b', description, parameters } },
  ])
  for (const specialist of ['idle', 'nobody', 'constructor']) assert.deepEqual(actions.tools(config, specialist), [])
})

test('a run succeeds with its result as JSON', async () => {
  const { dispatch, end, lines } = opened()
  const run = await end(await dispatch())
  assert.match(run.id, /^run_[0-9a-f]{32}$/)
  assert.deepEqual(
    { ...run, id: '' },
    { id: '', key: 'turn/0/0', action: 'do_it', status: 'succeeded', output: '{"x":1}' },
  )
  assert.deepEqual(
    lines.map(({ msg, run, action, status }) => ({ msg, run, action, status })),
    [{ msg: 'Action settled', run: run.id, action: 'do_it', status: 'succeeded' }],
  )
})

test('a result that is nothing is told as null', async () => {
  const { dispatch, end } = opened(() => undefined)
  assert.equal((await end(await dispatch())).output, 'null')
})

test('the built-in functions are there by default', async () => {
  const { clock } = opened()
  const actions = createInProcessActions({ clock, log: capturedLog().log })
  const config = configOf({ calculate: action('calculate', { parameters: { type: 'object' } }) })
  const call = {
    key: 'k',
    turn: 't',
    conversation: undefined,
    specialist: 'apollo',
    readOnly: true,
    untrusted: false,
    config,
  }
  const principal = { tenant: 'local', id: 'local', name: 'Local', kind: 'user', roles: [], scopes: [] } as const
  const run = await actions.dispatch({ ...call, principal, action: 'calculate', arguments: '{"expression":"6*7"}' })
  assert.equal((await actions.settled(run, 1000, never, ignore)).output, '{"result":42}')
})

const refusals: [string, Partial<ActionCall>, string][] = [
  ['an unknown action', { action: 'do_that' }, 'There is no such action. There are: do_it.'],
  ['a name that every object has', { action: 'constructor' }, 'There is no such action. There are: do_it.'],
  [
    'an action of others',
    { config: configOf({ do_it: action('do'), other: action('do') }, ['other']) },
    'There is no such action. There are: other.',
  ],
  ['any action of a specialist without', { specialist: 'idle' }, 'There is no such action. None can be called here.'],
  ['any action of nobody', { specialist: 'nobody' }, 'There is no such action. None can be called here.'],
  [
    'arguments that are no JSON',
    { arguments: '{"x":' },
    'The arguments have to be one JSON object. Correct them and call the action again.',
  ],
  [
    'arguments that do not fit',
    { arguments: '{"x":"1"}' },
    'The arguments do not fit: x must be a number. Correct them and call the action again.',
  ],
]

for (const [name, change, output] of refusals) {
  test(`rejected, in words to the model: ${name}`, async () => {
    let executed = false
    const { dispatch, lines } = opened(() => {
      executed = true
    })
    const run = await dispatch(change)
    assert.equal(run.status, 'rejected')
    assert.equal(run.output, output)
    await setImmediate()
    assert.equal(executed, false)
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['Action rejected'],
    )
  })
}

test('a turn that may only read runs no action that writes, which is what an action does unless it says otherwise', async () => {
  const { dispatch, end } = opened()
  const { access: _, ...silent } = action('do')
  for (const spec of [action('do', { access: 'write' }), silent]) {
    const config = configOf({ do_it: spec })
    const refused = await dispatch({ readOnly: true, config })
    assert.equal(refused.status, 'rejected')
    assert.equal(refused.output, 'This action changes something, and this turn may only read. Answer without it.')
    assert.equal((await end(await dispatch({ config }))).status, 'succeeded')
  }
  assert.equal((await end(await dispatch({ readOnly: true }))).status, 'succeeded')
})

test('the same key is the same run, whatever its state and whatever is asked', async () => {
  let executions = 0
  const { executor, gates } = held()
  const { dispatch, end } = opened((args, context) => {
    executions += 1
    return executor(args, context)
  })
  const first = await dispatch({ key: 'k' })
  const second = await dispatch({ key: 'k', arguments: '{"x":2}' })
  assert.equal(second.id, first.id)
  gates[0]?.resolve('done')
  assert.equal((await end(second)).output, '"done"')
  const third = await dispatch({ key: 'k' })
  assert.deepEqual([third.id, third.status], [first.id, 'succeeded'])
  assert.equal(executions, 1)

  const refused = await dispatch({ key: 'r', arguments: '' })
  assert.equal((await dispatch({ key: 'r' })).id, refused.id)
})

test('runs are side by side', async () => {
  const { executor, gates } = held()
  const { dispatch, end } = opened(executor)
  const runs = await Promise.all([dispatch(), dispatch(), dispatch()])
  await setImmediate()
  assert.equal(gates.length, 3)
  for (const [index, gate] of [...gates.entries()].reverse()) gate.resolve(index)
  const outputs = await Promise.all(runs.map(end))
  assert.deepEqual(
    outputs.map(({ output }) => output),
    ['0', '1', '2'],
  )
})

test('what the model can correct is told to it', async () => {
  const { dispatch, end, lines } = opened(() => {
    throw new CorrectableError('Give a smaller number.')
  })
  const run = await end(await dispatch())
  assert.deepEqual([run.status, run.output], ['failed', 'Give a smaller number.'])
  assert.equal(lines[0]?.level, 30)
})

const broken: [string, Executor][] = [
  [
    'throws',
    () => {
      throw new Error('the secret is 42')
    },
  ],
  [
    'rejects',
    async () => {
      throw new Error('the secret is 42')
    },
  ],
  ['answers what is no JSON', () => ({ x: 42n })],
]

for (const [name, executor] of broken) {
  test(`what goes wrong on our side is logged, and told without its cause: an executor that ${name}`, async () => {
    const { dispatch, end, lines } = opened(executor)
    const run = await end(await dispatch())
    assert.deepEqual([run.status, run.output], ['failed', 'The action failed for a reason on our side.'])
    assert.deepEqual(
      lines.map(({ level, msg }) => `${level} ${msg}`),
      ['50 Action broken'],
    )
  })
}

test('an action without its function, or with a broken schema, fails without an exception', async () => {
  const { dispatch, lines } = opened()
  const parameters = { type: 'object', properties: { x: { $ref: '#/nowhere' } } }
  for (const spec of [action('gone'), action('do', { parameters })]) {
    const run = await dispatch({ config: configOf({ do_it: spec }) })
    assert.deepEqual([run.status, run.output], ['failed', 'The action failed for a reason on our side.'])
  }
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['Action broken', 'Action broken'],
  )
})

test('an action gets its time, and is told to stop after it', async () => {
  const { executor, gates, signals } = held()
  const { clock, dispatch, end } = opened(executor)
  const run = await dispatch({ config: configOf({ do_it: action('do', { timeoutMs: 500 }) }) })
  const ended = end(run)
  clock.advance(499)
  await setImmediate()
  assert.equal(signals[0]?.aborted, false)
  clock.advance(1)
  assert.equal(signals[0]?.aborted, true)
  const { status, output } = await ended
  assert.deepEqual([status, output], ['failed', 'The action did not end within 500 ms.'])
  gates[0]?.reject(new Error('too late'))
  await setImmediate()
  assert.equal((await end(run)).output, output)
})

test('an action that ends in time leaves no timer', async () => {
  const { clock, dispatch, end } = opened()
  await end(await dispatch())
  assert.equal(clock.pending, 0)
})

test('without a time of its own an action has 30 seconds', async () => {
  const { executor } = held()
  const { clock, dispatch, end } = opened(executor)
  const ended = end(await dispatch())
  await setImmediate()
  clock.advance(30_000)
  assert.equal((await ended).output, 'The action did not end within 30000 ms.')
})

const known: Run = { id: '', key: 'k', action: 'do_it', status: 'requested', output: undefined }

test('who waits hears each status in between and gets the last', async () => {
  const { executor, gates } = held()
  const { actions, dispatch } = opened(executor)
  const heard: string[] = []
  const dispatched = dispatch({ key: 'k' })
  const ended = actions.settled(known, 1000, never, ({ status }) => heard.push(status))
  await dispatched
  gates[0]?.resolve(1)
  assert.equal((await ended).status, 'succeeded')
  assert.deepEqual(heard, ['queued', 'running'])
})

test('who waits long enough gets the run as it stands; the run goes on', async () => {
  const { executor, gates } = held()
  const { clock, actions, dispatch, end } = opened(executor)
  const run = await dispatch()
  const waited = actions.settled(run, 1000, never, ignore)
  await setImmediate()
  clock.advance(1000)
  assert.equal((await waited).status, 'running')
  gates[0]?.resolve(1)
  assert.equal((await end(run)).status, 'succeeded')
})

test('who stops waiting stops waiting; the run goes on', async () => {
  const { executor, gates } = held()
  const { clock, actions, dispatch, end } = opened(executor)
  const run = await dispatch()
  await setImmediate()
  const controller = new AbortController()
  const waited = actions.settled(run, 1000, controller.signal, ignore)
  const reason = new Error('cancelled')
  controller.abort(reason)
  await assert.rejects(waited, reason)
  await assert.rejects(actions.settled(run, 1000, controller.signal, ignore), reason)
  assert.equal(clock.pending, 1, 'only the time limit of the run waits')
  gates[0]?.resolve(1)
  assert.equal((await end(run)).status, 'succeeded')
})

test('a listener that fails ends its own wait only', async () => {
  const { executor, gates } = held()
  const { actions, dispatch, end } = opened(executor)
  for (const last of ['queued', 'running']) {
    const dispatched = dispatch({ key: last })
    const fault = new Error('broken')
    const broken = actions.settled({ ...known, key: last }, 1000, never, ({ status }) => {
      if (status === last) throw fault
    })
    await assert.rejects(broken, fault)
    gates.at(-1)?.resolve(1)
    assert.equal((await end(await dispatched)).status, 'succeeded')
  }
})

test('a run that another process had is unknown', async () => {
  const { end } = opened()
  const lost = await end({ id: 'run_1', key: 'other/0/0', action: 'do_it', status: 'running', output: undefined })
  assert.deepEqual([lost.id, lost.status], ['run_1', 'unknown'])
  assert.match(lost.output ?? '', /not known/)
})

test('a run that is settled already is given back', async () => {
  const { end } = opened()
  const run: Run = { id: 'run_1', key: 'other/0/0', action: 'do_it', status: 'succeeded', output: '1' }
  assert.equal(await end(run), run)
})

test('runs that have not started are withdrawn, those of other turns and started ones are not', async () => {
  const { executor, gates } = held()
  const { actions, dispatch, end } = opened(executor)
  const started = await dispatch({ key: 'turn/0/0' })
  await setImmediate()
  const waiting = dispatch({ key: 'turn/0/1' })
  const other = dispatch({ key: 'other/0/0', turn: 'other' })
  await actions.withdraw('turn')
  assert.deepEqual(await end(await waiting).then(({ status, output }) => [status, output]), [
    'cancelled',
    'The call was withdrawn before it began.',
  ])
  for (const gate of gates) gate.resolve(1)
  assert.equal((await end(started)).status, 'succeeded')
  assert.equal((await end(await other)).status, 'succeeded')
  assert.equal(gates.length, 2)
})
