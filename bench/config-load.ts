import { readFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { stringify } from 'yaml'
import { type Load, loadVersion } from '#config/load.ts'
import { ConfigLoader } from '#config/versions/loader.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { type ConfigCheckEnv, configChecks } from '../src/config-checks.ts'
import { readEnv } from '../src/env.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'
import { median } from './statistics.ts'

const loadsPerRound = 10
const resolutionMs = 2
const specialists = 200
const targetBytes = 1_000_000

interface Measured {
  millisecondsMedian: number
  millisecondsMax: number
  loopP99Ms: number
  loopMaxMs: number
}

/** A version of 1 MB with 200 specialists and as many actions: how long it takes to load, and what the event loop feels of it. */
export async function measureConfigLoad({ rounds, quick }: BenchOptions): Promise<PartReport> {
  const { models, actions, rollout } = readEnv({})
  const checked: ConfigCheckEnv = { models, actions, rollout, functions: ['calculate'] }
  const checks = configChecks(checked)
  const bytes = largeVersion()
  const small = readFileSync(new URL('../config-versions/v002.yaml', import.meta.url))
  const loads = quick ? rounds : rounds * loadsPerRound
  const entry = new URL('../src/config-worker.ts', import.meta.url)
  const loader = new ConfigLoader({
    entry,
    checked,
    checksOf: configChecks,
    clock: systemClock,
    log: createLog('silent'),
  })
  loader.toThread()
  const startedAt = performance.now()
  await loader.load('v1', small, 'yaml')
  const threadMs = performance.now() - startedAt
  const inThread = await measure(loads, bytes, loader.load)
  await loader.close()
  const inline: Load = async (name, given, format) => loadVersion(name, given, format, checks)
  const here = await measure(loads, bytes, inline)
  const smallMs = timeOf(() => loadVersion('v2', small, 'yaml', checks))

  const gates = [
    atMost('1 MB, 200 specialists: loaded and validated', 'Parley', inThread.millisecondsMedian, 500, ' ms'),
    atMost('event-loop delay meanwhile, p99', 'Parley', inThread.loopP99Ms, 20, ' ms'),
  ]
  const row = (name: string, { millisecondsMedian, millisecondsMax, loopP99Ms, loopMaxMs }: Measured) => [
    name,
    ...[millisecondsMedian, millisecondsMax, loopP99Ms, loopMaxMs].map(figure),
  ]
  const text = [
    `${(bytes.length / 1e6).toFixed(2)} MB of YAML, ${specialists} specialists, ${specialists} actions; ${loads} loads each.`,
    table(
      ['read and checked', 'ms, median', 'ms, max', 'loop delay p99, ms', 'max'],
      [row('in a thread, as shipped', inThread), row('in the thread that serves', here)],
    ),
    `The first load of a thread, its start included: ${figure(threadMs)} ms. A shipped version at the start, read without a thread: ${figure(smallMs)} ms.`,
    gateTable(gates),
  ].join('\n\n')
  return { text, gates, data: { bytes: bytes.length, loads, inThread, here, threadMs, smallMs } }
}

async function measure(loads: number, bytes: Buffer, load: Load): Promise<Measured> {
  const times: number[] = []
  const delay = monitorEventLoopDelay({ resolution: resolutionMs })
  await load('warm', bytes, 'yaml')
  delay.enable()
  for (let at = 0; at < loads; at++) {
    const startedAt = performance.now()
    const loaded = await load(`v${at}`, bytes, 'yaml')
    if ('faults' in loaded) throw new Error(`The version is not sound: ${loaded.faults[0]?.message}`)
    times.push(performance.now() - startedAt)
    // So that the histogram sees the delay that this load has made.
    await new Promise((resolve) => setTimeout(resolve, 2 * resolutionMs))
  }
  delay.disable()
  // The histogram counts from one look to the next, so its floor is the time between looks.
  const beyond = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolutionMs)
  return {
    millisecondsMedian: median(times),
    millisecondsMax: Math.max(...times),
    loopP99Ms: beyond(delay.percentile(99)),
    loopMaxMs: beyond(delay.max),
  }
}

function timeOf(work: () => unknown): number {
  const startedAt = performance.now()
  work()
  return performance.now() - startedAt
}

function largeVersion(): Buffer {
  const names = Array.from({ length: specialists }, (_, at) => at)
  const properties = Object.fromEntries(
    Array.from({ length: 8 }, (_, at) => [
      `p${at}`,
      { type: 'string', maxLength: 200, description: `The field ${at}` },
    ]),
  )
  const parameters = { type: 'object', required: ['p0'], additionalProperties: false, properties }
  const sentence = 'You help the operations team with what they ask, and say so when you do not know.\n'
  const document = (instructions: string) => ({
    description: 'A large one',
    models: {
      main: { provider: 'offline', contextWindow: 200_000, continuation: 'restart', price: { input: 0, output: 0 } },
    },
    routes: { default: { models: ['main'] } },
    specialists: Object.fromEntries(
      names.map((at) => [`s${at}`, { title: 'T', instructions, route: 'default', actions: [`a${at}`] }]),
    ),
    actions: Object.fromEntries(
      names.map((at) => [`a${at}`, { description: 'Does', builtin: 'calculate', parameters }]),
    ),
  })
  // Without aliases, which would make it small.
  const textOf = (sentences: number) =>
    stringify(document(sentence.repeat(sentences)), { aliasDuplicateObjects: false, indent: 1 })
  const least = Buffer.byteLength(textOf(1))
  const perSentence = Buffer.byteLength(textOf(2)) - least
  return Buffer.from(textOf(1 + Math.floor((targetBytes - least) / perSentence)))
}
