/**
 * Dispatches runs and waits for their results, as the loop of a turn does, in a process of its own:
 * `GET /?runs=1000&atOnce=64` answers when all are settled.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createActions } from '#actions/create.ts'
import { createBuiltinExecutors } from '#actions/executors/builtin/registry.ts'
import { createExecutors } from '#actions/executors/executors.ts'
import { createSeal } from '#conversations/vault.ts'
import { createEvents } from '#events/events.ts'
import { newId } from '#ids.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { openRunEngines, type RunEngines } from '../test/support/run-engines.ts'
import { actionSpec, callOf, versionOf } from '../test/support/runs-at-hand.ts'
import { ScriptedServing } from '../test/support/scripted-serving.ts'

/** What `GET /` answers. */
export interface RunsReport {
  seconds: number
  /** Of each run, from dispatch to its result. */
  tookMs: number[]
}

const ACTION = 'calculate'
const WAIT_MS = 60_000

const log = createLog('warn')
const engines: RunEngines = JSON.parse(process.env.BENCH_ENGINES ?? '')
const { sql, queue, kv } = await openRunEngines(engines, log)
const config = versionOf({ [ACTION]: actionSpec(ACTION, { parameters: { type: 'object' } }) })
const seal = createSeal(randomBytes(32))
// The settings that Parley has by itself.
const actions = createActions({
  ...{ sql, queue, kv, log, clock: systemClock },
  executors: createExecutors([createBuiltinExecutors()]),
  configs: { find: async () => config, current: () => config },
  serving: new ScriptedServing(config),
  events: createEvents(log),
  sealOf: async () => seal,
  userToken: () => Promise.reject(new Error('No sign-in is expected here.')),
  replica: newId('rep'),
  works: true,
  awake: true,
  alone: false,
  concurrency: 64,
  leaseMs: 15_000,
  sweepEveryMs: 1000,
  maxWaiting: 10_000,
})

const server = createServer(async (request, response) => {
  try {
    const { searchParams } = new URL(request.url ?? '', 'http://127.0.0.1')
    const report = await perform(Number(searchParams.get('runs')), Number(searchParams.get('atOnce')))
    response.end(JSON.stringify(report))
  } catch (error) {
    response.writeHead(500).end(String(error))
  }
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
process.once('SIGTERM', () => process.exit(0))

async function perform(runs: number, atOnce: number): Promise<RunsReport> {
  const tookMs: number[] = []
  const startedAt = performance.now()
  let begun = 0
  const oneAfterTheOther = async () => {
    while (begun < runs) {
      begun += 1
      const dispatchedAt = performance.now()
      await performOne()
      tookMs.push(performance.now() - dispatchedAt)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, oneAfterTheOther))
  return { seconds: (performance.now() - startedAt) / 1000, tookMs }
}

async function performOne(): Promise<void> {
  const call = callOf(config, ACTION, { key: newId('turn'), arguments: '{"expression":"6*7"}' })
  const run = await actions.dispatch(call)
  const { status, output } = await actions.settled(run, { mostMs: WAIT_MS }, new AbortController().signal, () => {})
  if (status !== 'succeeded') throw new Error(`A run ended as ${status}: ${output}`)
}
