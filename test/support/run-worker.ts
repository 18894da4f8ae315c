/** A process that takes runs on and executes them, told what to do by its parent; made to be killed. */
import { createActions } from '../../src/actions/create.ts'
import { createExecutors } from '../../src/actions/executors/executors.ts'
import { createHttpExecutors } from '../../src/actions/executors/http/http.ts'
import { createHttpCall } from '../../src/actions/executors/http/http-call.ts'
import type { ActionSpec } from '../../src/config/action-spec.ts'
import { createSeal } from '../../src/conversations/vault.ts'
import { ParleyError } from '../../src/errors.ts'
import { createEvents } from '../../src/events/events.ts'
import { newId } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { systemClock } from '../../src/platform/clock.ts'
import { createEgress } from '../../src/platform/egress/egress.ts'
import { openRunEngines, type RunEngines } from './run-engines.ts'
import { callOf, versionOf } from './runs-at-hand.ts'
import { ScriptedServing } from './scripted-serving.ts'

export interface RunWorkerOptions {
  engines: RunEngines
  actions: Record<string, ActionSpec>
  /** The target: `host:port`. */
  target: string
  /** 32 bytes in base64: all workers read what one of them sealed. */
  key: string
  leaseMs: number
  maxWaiting: number
}

export interface RunCall {
  key: string
  action: string
  conversation: string
  arguments: string
}

/** From the parent, and back. `counts`: of all runs, by status, those apart that wait for another of their conversation. */
export type ToRunWorker = { id: number } & (
  | { do: 'dispatch'; call: RunCall }
  | { do: 'counts' }
  | { do: 'sql'; text: string }
)
export type FromRunWorker = { ready: true } | ({ id: number } & ({ answer: unknown } | { error: string }))

const {
  engines,
  actions: specs,
  target,
  key,
  leaseMs,
  maxWaiting,
}: RunWorkerOptions = JSON.parse(process.env.RUN_WORKER ?? '')
const COUNTS = 'SELECT status, waiting, count(*) AS count FROM runs GROUP BY status, waiting'
const clock = systemClock
const log = createLog(process.env.PARLEY_TEST_LOG ?? 'silent')
const { sql, queue, kv } = await openRunEngines(engines, log)
const config = versionOf(specs)
const seal = createSeal(Buffer.from(key, 'base64'))
const egress = createEgress({ hosts: [target], privateRanges: [], clock })
const http = createHttpExecutors(createHttpCall(egress, clock, log))
const actions = createActions({
  ...{ sql, queue, kv, clock, log, leaseMs, maxWaiting },
  executors: createExecutors([http]),
  configs: { find: async () => config, current: () => config },
  serving: new ScriptedServing(config),
  events: createEvents(log),
  sealOf: async () => seal,
  userToken: () => Promise.reject(new Error('No sign-in is expected here.')),
  replica: newId('rep'),
  works: true,
  awake: true,
  alone: sql.engine === 'pglite',
  concurrency: 32,
  sweepEveryMs: 250,
})

process.on('message', async (message: ToRunWorker) => {
  const { id } = message
  try {
    tell({ id, answer: await perform(message) })
  } catch (error) {
    tell({ id, error: error instanceof ParleyError ? error.code : String(error) })
  }
})
process.on('disconnect', () => process.exit(0))
tell({ ready: true })

async function perform(message: ToRunWorker): Promise<unknown> {
  if (message.do === 'dispatch') {
    const { id, status, output } = await actions.dispatch(callOf(config, message.call.action, message.call))
    return status === 'rejected' ? { refused: output } : { run: id }
  }
  if (message.do === 'sql') return sql.query('system', message.text)
  return { counts: await sql.query('system', COUNTS), residentBytes: process.memoryUsage.rss() }
}

function tell(message: FromRunWorker): void {
  process.send?.(message)
}
