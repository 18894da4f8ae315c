/**
 * `npm run bench:runs-chaos`: 20,000 runs while workers are killed 200 times and the broker is dropped 20 times, and 20,000
 * embedded while their one process is killed 200 times. `-- --share 0.1` is a tenth of it. Ends with 1 when a run is lost, is done
 * twice or is out of order; `--record` writes bench/results/runs-chaos.md. `-- --broker-away 300` is another matter: runs are
 * asked for while the broker is away for five minutes; with `--record`, bench/results/broker-away.md.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type RunChaos, runChaos } from '../test/support/run-chaos.ts'
import { checkRuns } from '../test/support/run-chaos-check.ts'
import { type ChaosGround, embeddedChaos, sharedChaos } from '../test/support/run-chaos-grounds.ts'
import { brokerAway } from './broker-away.ts'
import { describeMachine } from './machine.ts'
import { figure, table } from './report.ts'

interface Round {
  name: string
  open(): Promise<ChaosGround>
  size: Pick<RunChaos, 'workers' | 'runs' | 'kills' | 'drops' | 'atOnce' | 'perConversation'>
}

const ROUNDS: readonly Round[] = [
  {
    name: 'PostgreSQL + Redis + broker',
    open: sharedChaos,
    size: { workers: 3, runs: 20_000, kills: 200, drops: 20, atOnce: 100, perConversation: 40 },
  },
  {
    name: 'embedded',
    open: embeddedChaos,
    size: { workers: 1, runs: 20_000, kills: 200, drops: 0, atOnce: 50, perConversation: 40 },
  },
]
/** A run that nobody was told of is looked after within a minute, and one that fails often waits for as long again. */
const SETTLE_MS = 240_000

const { values } = parseArgs({
  options: {
    share: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    only: { type: 'string' },
    'broker-away': { type: 'string' },
    record: { type: 'boolean', default: false },
  },
})
const [share, seed] = [Number(values.share), Number(values.seed)]
if (values['broker-away'] !== undefined) {
  const shown = await brokerAway(Number(values['broker-away']), seed, (line) => console.error(`broker away: ${line}`))
  const text = `## broker-away

${factsOf(seed)}

${shown}

Runs are asked for at a steady pace while there is no broker. Every one that was accepted was done, once, after it was back, and nobody had to do anything for that: else there would be no figures here.
`
  console.log(text)
  if (values.record) writeFileSync(new URL('./results/broker-away.md', import.meta.url), text)
  process.exit()
}
const rows: string[][] = []
for (const { name, open, size } of ROUNDS) {
  if (values.only !== undefined && values.only !== name) continue
  const runs = Math.round(size.runs * share)
  const [kills, drops] = [Math.round(size.kills * share), Math.round(size.drops * share)]
  const say = (line: string) => console.error(`${name}: ${line}`)
  say(`${runs} runs, ${kills} kills, ${drops} drops of the broker, seed ${seed}`)
  await using ground = await open()
  const { engines, drop } = ground
  const chaos = { ...size, engines, drop, runs, kills, drops, seed, settleMs: SETTLE_MS, hurry: false, say }
  const report = await runChaos(chaos)
  const outcomes = checkRuns(report)
  rows.push([
    name,
    ...[runs, kills, drops, report.failures.worker_lost ?? 0].map(String),
    ...['put succeeded', 'next succeeded', 'once succeeded', 'once unknown'].map((kind) => String(outcomes[kind] ?? 0)),
    ...[report.seconds, report.settlingSeconds].map(figure),
  ])
}
const head = ['engines', 'runs', 'workers killed', 'broker dropped', 'attempts lost with their worker']
const ends = ['idempotent: done once', 'ordered: done once, in order', 'at most once: done', 'at most once: unknown']
const text = `## runs-chaos

${factsOf(seed)}

${table([...head, ...ends, 'seconds', 'of which settling'], rows)}

No run was lost, none was done twice, and none was out of order: else there would be no figures here.
`
console.log(text)
if (values.record) writeFileSync(new URL('./results/runs-chaos.md', import.meta.url), text)

function factsOf(seed: number): string {
  const about = { date: new Date().toISOString().slice(0, 10), ...describeMachine(), seed }
  return Object.entries(about)
    .map(([what, value]) => `${what}: ${value}`)
    .join(' · ')
}
