import type { ActionSpec } from '#config/action-spec.ts'
import type { ConfigVersion } from '#config/document.ts'
import { newId } from '#ids.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { readArguments } from './arguments.ts'
import { builtinExecutors } from './executors/builtin/registry.ts'
import { CorrectableError, type Executor, type ExecutorContext, IdentityNeeded } from './executors/executor.ts'
import { type ActionCall, type ActionPort, type FunctionTool, isSettled, type Run } from './port.ts'
import { type Entry, RunMemory } from './run-memory.ts'

const DEFAULT_TIMEOUT_MS = 30_000
const BROKEN = 'The action failed for a reason on our side.'
const LOST = 'Whether the action took place is not known: the process that ran it has ended.'
const WITHDRAWN = 'The call was withdrawn before it began.'

export interface InProcessActionsOptions {
  clock: Clock
  log: Log
  executors?: ReadonlyMap<string, Executor>
}

interface Plan {
  executor: Executor
  args: Readonly<Record<string, unknown>>
  timeoutMs: number
  context: Omit<ExecutorContext, 'clock' | 'signal' | 'run'>
}

/** Runs actions at once, in this process, all side by side. A run dies with the process: nothing here is durable. */
export function createInProcessActions(options: InProcessActionsOptions): ActionPort {
  const { clock, log, executors = builtinExecutors } = options
  const runs = new RunMemory(clock)

  async function dispatch(call: ActionCall): Promise<Run> {
    const known = runs.get(call.key)
    if (known) return known.run
    const { key, action, turn } = call
    const entry = runs.add({ id: newId('run'), key, action, status: 'requested', output: undefined }, turn)
    try {
      const plan = planOf(call, executors)
      if ('refusal' in plan) {
        runs.update(entry, { status: 'rejected', output: plan.refusal })
        log.info({ run: entry.run.id, turn, action }, 'Action rejected')
      } else {
        runs.update(entry, { status: 'queued' })
        queueMicrotask(() => void execute(entry, plan))
      }
    } catch (error) {
      runs.update(entry, { status: 'failed', output: BROKEN })
      log.error({ run: entry.run.id, turn, action, err: error }, 'Action broken')
    }
    return entry.run
  }

  async function execute(entry: Entry, plan: Plan): Promise<void> {
    if (isSettled(entry.run)) return
    runs.update(entry, { status: 'running' })
    const startedAt = clock.monotonic()
    const { error, ...outcome } = await attempt(plan, entry.run.id, clock)
    const { id, action, status } = { ...entry.run, ...outcome }
    const fields = { run: id, turn: entry.turn, action, status, durationMs: clock.monotonic() - startedAt }
    if (error) log.error({ ...fields, err: error }, 'Action broken')
    else log.info(fields, 'Action settled')
    runs.update(entry, outcome)
  }

  async function settled(run: Run, waitMs: number, signal: AbortSignal, onChange: (run: Run) => void): Promise<Run> {
    signal.throwIfAborted()
    if (isSettled(run)) return run
    const entry = runs.get(run.key)
    if (!entry) return { ...run, status: 'unknown', output: LOST }
    if (isSettled(entry.run)) return entry.run
    if (entry.run.status !== run.status) onChange(entry.run)

    const end = Promise.withResolvers<Run>()
    const onAbort = () => end.reject(signal.reason)
    const onUpdate = (now: Run) => {
      if (isSettled(now)) return end.resolve(now)
      try {
        onChange(now)
      } catch (error) {
        end.reject(error)
      }
    }
    const stopTimer = clock.after(waitMs, () => end.resolve(entry.run))
    signal.addEventListener('abort', onAbort, { once: true })
    entry.listeners.add(onUpdate)
    try {
      return await end.promise
    } finally {
      stopTimer()
      signal.removeEventListener('abort', onAbort)
      entry.listeners.delete(onUpdate)
    }
  }

  async function withdraw(turn: string): Promise<void> {
    const waiting = runs.liveOf(turn).filter(({ run }) => run.status === 'queued')
    for (const entry of waiting) runs.update(entry, { status: 'cancelled', output: WITHDRAWN })
  }

  return {
    tools,
    dispatch,
    settled,
    withdraw,
    takeFollowUps: async () => [],
    followUpDone: async () => {},
    onFollowUp: () => () => {},
  }
}

function tools(config: ConfigVersion, specialist: string): FunctionTool[] {
  return actionsOf(config, specialist).map(([name, { description, parameters }]) => {
    return { type: 'function', function: { name, description, parameters } }
  })
}

function actionsOf({ document }: ConfigVersion, specialist: string): [string, ActionSpec][] {
  const { specialists, actions = {} } = document
  const names = (Object.hasOwn(specialists, specialist) && specialists[specialist]?.actions) || []
  return names.flatMap((name) => {
    const spec = Object.hasOwn(actions, name) ? actions[name] : undefined
    return spec ? [[name, spec]] : []
  })
}

/** What to run, or why not, in words that the model can act on. */
function planOf(call: ActionCall, executors: ReadonlyMap<string, Executor>): Plan | { refusal: string } {
  const offered = actionsOf(call.config, call.specialist)
  const spec = offered.find(([name]) => name === call.action)?.[1]
  if (!spec) {
    const names = offered.map(([name]) => name).join(', ')
    return { refusal: `There is no such action. ${names === '' ? 'None can be called here.' : `There are: ${names}.`}` }
  }
  if (call.readOnly && spec.access !== 'read') {
    return { refusal: 'This action changes something, and this turn may only read. Answer without it.' }
  }
  const args = readArguments(spec.parameters, call.arguments)
  if ('refusal' in args) return { refusal: `${args.refusal} Correct them and call the action again.` }
  const executor = executors.get(spec.builtin ?? '')
  if (!executor) throw new Error('The config version names a built-in function that does not exist.')
  const { principal, key } = call
  const context = {
    principal,
    key,
    attempt: 1,
    traceparent: undefined,
    begin: async () => {},
    userToken: () => Promise.reject(new IdentityNeeded()),
  }
  return { executor, args: args.value, timeoutMs: spec.timeoutMs ?? DEFAULT_TIMEOUT_MS, context }
}

/** Never rejects. `error` is what went wrong on our side. */
async function attempt(
  { executor, args, timeoutMs, context }: Plan,
  run: string,
  clock: Clock,
): Promise<{ status: 'succeeded' | 'failed'; output: string; error?: unknown }> {
  const controller = new AbortController()
  const timeout = Promise.withResolvers<never>()
  const stopTimer = clock.after(timeoutMs, () => {
    const reason = new DOMException('The action took too long.', 'TimeoutError')
    timeout.reject(reason)
    controller.abort(reason)
  })
  try {
    const { signal } = controller
    const result = await Promise.race([
      Promise.try(executor, args, { ...context, run, clock, signal }),
      timeout.promise,
    ])
    return { status: 'succeeded', output: JSON.stringify(result) ?? 'null' }
  } catch (error) {
    if (controller.signal.aborted) return { status: 'failed', output: `The action did not end within ${timeoutMs} ms.` }
    if (error instanceof CorrectableError) return { status: 'failed', output: error.message }
    return { status: 'failed', output: BROKEN, error }
  } finally {
    stopTimer()
  }
}
