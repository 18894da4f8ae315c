import { type BenchEngines, openEmbedded, openShared } from './actions-engines.ts'
import type { RunsReport } from './actions-target.ts'
import { type Server, startServer } from './children.ts'
import { cpuMs, residentKib } from './machine.ts'
import type { BenchOptions, Gate, PartReport } from './parts.ts'
import { atLeast, atMost, figure, gateTable, table } from './report.ts'
import { median, spreadOf } from './statistics.ts'

interface Ground {
  name: string
  open(): Promise<BenchEngines>
  limits: { p50Ms: number; p99Ms: number; perSecond: number }
}

const GROUNDS: readonly Ground[] = [
  { name: 'embedded', open: openEmbedded, limits: { p50Ms: 15, p99Ms: 50, perSecond: 400 } },
  { name: 'PostgreSQL + Redis + broker', open: openShared, limits: { p50Ms: 25, p99Ms: 100, perSecond: 1200 } },
]
const ONE_BY_ONE = 2000
const AT_ONCE = [64, 256]
/** Long enough that what starts slowly does not decide. */
const SECONDS_OF_LOAD = 10
const MEMORY = { runs: 100_000, atOnce: 64, perLook: 2500 }
/** A process that has warmed up may still find its level; a leak of a row or a message per run would be ten times as much. */
const GROWTH_LIMIT_MIB = 64

/**
 * What an action costs from its dispatch to its result, without a model around it: one at a time, many at once, and in memory
 * over many.
 */
export async function measureActions(options: BenchOptions): Promise<PartReport> {
  const rows = []
  for (const ground of GROUNDS) {
    if (options.targets.length > 0 && !options.targets.includes(ground.name)) continue
    rows.push(await measureOn(ground, options))
  }
  const gates = rows.flatMap(({ gates }) => gates)
  const text = [
    table(
      ['engines', 'one at a time: p50 ms', 'p99 ms', ...AT_ONCE.map((n) => `runs/s, ${n} at once`), 'CPU ms/run'],
      rows.map(({ name, alone, loads }) => [
        name,
        figure(alone.p50),
        figure(alone.p99),
        ...loads.map(({ perSecond }) => figure(perSecond)),
        figure(loads.at(-1)?.cpuMsPerRun ?? Number.NaN),
      ]),
    ),
    ...rows.flatMap(({ name, perRun }) => (perRun ? [`${name}: of the broker, per run, ${perRun}.`] : [])),
    ...rows.flatMap(({ memory }) => (memory ? [memory.text] : [])),
    gateTable(gates),
  ].join('\n\n')
  return { text, gates, data: { rows } }
}

async function measureOn({ name, open, limits }: Ground, { cores, quick, profiles, say }: BenchOptions) {
  await using opened = new AsyncDisposableStack()
  const ground = opened.use(await open())
  const nodeArgs = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]
  const env = { BENCH_ENGINES: JSON.stringify(ground.engines) }
  const script = import.meta.resolve('./actions-target.ts')
  const target = opened.use(await startServer([...nodeArgs, script], { core: cores?.target, env }))
  await perform(target, 500, 16)

  say(`actions: ${name}, one at a time`)
  await perform(target, 100, 1)
  const alone = spreadOf((await perform(target, quick ? ONE_BY_ONE / 4 : ONE_BY_ONE, 1)).tookMs)
  const loads = []
  const operationsBefore = await ground.operations()
  let runs = 0
  for (const atOnce of AT_ONCE) {
    say(`actions: ${name}, ${atOnce} at once`)
    const count = Math.round((limits.perSecond * SECONDS_OF_LOAD) / (quick ? 4 : 1))
    const cpuBefore = cpuMs(target.pid)
    const { seconds, tookMs } = await perform(target, count, atOnce)
    const cpuMsPerRun = (cpuMs(target.pid) - cpuBefore) / count
    loads.push({ atOnce, perSecond: count / seconds, cpuMsPerRun, ...spreadOf(tookMs) })
    runs += count
  }
  const operations = await ground.operations()
  const perRun =
    operations && operationsBefore
      ? (['sends', 'deliveries', 'settlements', 'requests'] as const)
          .map((kind) => `${figure((operations[kind] - operationsBefore[kind]) / runs)} ${kind}`)
          .join(', ')
      : undefined
  const memory = operations ? undefined : await memoryOver(quick ? MEMORY.runs / 10 : MEMORY.runs, target, say)
  const gates: Gate[] = [
    atMost('one at a time, p50', name, alone.p50, limits.p50Ms, ' ms'),
    atMost('one at a time, p99', name, alone.p99, limits.p99Ms, ' ms'),
    ...loads.map(({ atOnce, perSecond }) => atLeast(`${atOnce} at once`, name, perSecond, limits.perSecond, ' runs/s')),
    ...(memory ? [atMost(`growth over ${memory.runs} runs`, name, memory.grownMib, GROWTH_LIMIT_MIB, ' MiB')] : []),
  ]
  return { name, alone, loads, operations, perRun, memory, gates }
}

/** Its memory after the first quarter, when it is warm, beside that at the end. */
async function memoryOver(runs: number, target: Server, say: (line: string) => void) {
  const looksMib: number[] = []
  for (let done = 0; done < runs; done += MEMORY.perLook) {
    await perform(target, MEMORY.perLook, MEMORY.atOnce)
    looksMib.push(residentKib(target.pid) / 1024)
    if (done % 10_000 === 0) say(`actions: memory, ${done} of ${runs} runs, ${figure(looksMib.at(-1) ?? 0)} MiB`)
  }
  const quarter = Math.max(1, looksMib.length >> 2)
  const [early, late] = [median(looksMib.slice(quarter, 2 * quarter)), median(looksMib.slice(-quarter))]
  const text = `Memory of the process over ${runs} runs: ${figure(early)} MiB in the second quarter, ${figure(late)} MiB in the last.`
  return { runs, looksMib, grownMib: late - early, text }
}

async function perform({ url }: Server, runs: number, atOnce: number): Promise<RunsReport> {
  const answer = await fetch(`${url}/?runs=${runs}&atOnce=${atOnce}`)
  if (!answer.ok) throw new Error(`The runs failed: ${await answer.text()}`)
  return (await answer.json()) as RunsReport
}
