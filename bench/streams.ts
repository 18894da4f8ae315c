import { once } from 'node:events'
import { Load, type Server, startServer } from './children.ts'
import type { Dialect, Job, LoadReport } from './jobs.ts'
import type { LoopDelay } from './loop-delay.ts'
import { cpuMs, openFilesLimit, residentKib } from './machine.ts'
import { startParley, TO } from './parley.ts'
import type { BenchOptions, Gate, PartReport } from './parts.ts'
import { figure, gateTable, table } from './report.ts'

/**
 * Many streams in one process: half of them from the mock upstream, a token every 2 s each, half from the offline model, a
 * token a second. So the process has three sockets for every two streams, and 10,000 streams need 15,000 open files.
 */
const STREAMS = 10_000
const OPENED_PER_SECOND = 1000
const HOLD_MS = 20_000
const WATCH_MS = 8000

export async function holdStreams(options: BenchOptions): Promise<PartReport> {
  const streams = options.quick ? STREAMS / 10 : STREAMS
  const files = openFilesLimit()
  if (files < streams * 1.5 + 500) throw new Error(`${streams} streams need more open files than ${files}: ulimit -n`)
  const rows = []
  for (const dialect of ['completions', 'turns'] as const) {
    options.say(`streams: ${streams} on ${SURFACES[dialect]}`)
    rows.push(await hold(dialect, streams, options))
  }
  const text = table(
    ['surface', 'streams', 'MiB', 'KiB/stream', 'loop delay p50 / p99 / max ms, opening', 'open', 'CPU, open'],
    rows.map(({ dialect, held, residentMib, kibPerStream, opening, open, busy }) => [
      SURFACES[dialect],
      String(held),
      figure(residentMib),
      figure(kibPerStream),
      delays(opening),
      delays(open),
      `${Math.round(busy * 100)} %`,
    ]),
  )
  const gates = rows.map(
    ({ dialect, held, faults }): Gate => ({
      what: 'streams held at once, none broken',
      target: SURFACES[dialect],
      limit: String(streams),
      measured: faults === '' ? String(held) : `${held}, ${faults}`,
      passed: held === streams && faults === '',
    }),
  )
  return { text: `${text}\n\n${gateTable(gates)}`, gates, data: { rows } }
}

const SURFACES: Record<Dialect, string> = { completions: 'parley /v1', turns: 'parley native SQLite' }

async function hold(dialect: Dialect, streams: number, { cores }: BenchOptions) {
  await using opened = new AsyncDisposableStack()
  const upstream = opened.use(await startServer([import.meta.resolve('./upstream.ts')]))
  const nodeArgs = ['--import', import.meta.resolve('./loop-delay.ts')]
  const parley = opened.use(await startParley({ upstreamUrl: upstream.url, core: cores?.target, nodeArgs }))
  const base = {
    dialect,
    to: TO[dialect].mock,
    url: parley.url,
    upstreamUrl: upstream.url,
    streams: streams / 2,
    atOnce: streams / 2,
    rampMs: (streams / OPENED_PER_SECOND) * 1000,
    holdMs: HOLD_MS,
    plan: { tokens: 1000, rate: 0.5, burst: 1, delayMs: 0 },
  }
  const jobs: Job[] = [base, { ...base, to: TO[dialect].offline, message: 'Tell me a story of 500 words.' }]
  const loads = jobs.map((job) => ({ job, load: opened.use(new Load()) }))
  for (const { job, load } of loads) await load.prepare(job)

  const residentBefore = residentKib(parley.pid)
  await loopDelay(parley)
  const held = Promise.all(loads.map(({ load }) => load.holding()))
  const ended = Promise.all(loads.map(({ load }) => load.start()))
  await held
  const opening = await loopDelay(parley)
  const cpuBefore = cpuMs(parley.pid)
  await new Promise((after) => setTimeout(after, WATCH_MS))
  const open = await loopDelay(parley)
  const resident = residentKib(parley.pid)
  const busy = (cpuMs(parley.pid) - cpuBefore) / WATCH_MS
  await ended
  const reports: LoadReport[] = []
  for (const { load } of loads) reports.push(await load.check())
  return {
    dialect,
    held: reports.reduce((sum, { completed }) => sum + completed, 0),
    faults: reports
      .flatMap(({ faults }) => Object.entries(faults).map(([kind, count]) => `${count} ${kind}`))
      .join(', '),
    residentMib: resident / 1024,
    kibPerStream: (resident - residentBefore) / streams,
    opening,
    open,
    busy,
  }
}

async function loopDelay(server: Server): Promise<LoopDelay> {
  const answer = once(server.process, 'message')
  server.process.send('')
  const [delay]: LoopDelay[] = await answer
  if (!delay) throw new Error('The process does not say how its loop does.')
  return delay
}

function delays({ p50Ms, p99Ms, maxMs }: LoopDelay): string {
  return [p50Ms, p99Ms, maxMs].map(figure).join(' / ')
}
