/**
 * `npm run bench:rollout`: rollouts simulated against the shipped judge, 10,000 per row (`-- --seeds 1000` for fewer, `--seed` for
 * others), each beside the figure that is claimed; and ways of judging that break what is promised, each beside what is shipped.
 * Ends with 1 when more than one in a hundred sound versions are rolled back as shipped. `--record` writes
 * bench/results/rollout.md.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { describeMachine } from './machine.ts'
import { table } from './report.ts'
import { alternatives, type Row, shipped } from './rollout/rows.ts'
import { intervalOf, type Outcome, simulate } from './rollout/simulate.ts'
import { RATES } from './rollout/world.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '20261121' },
    record: { type: 'boolean', default: false },
  },
})
const [seeds, firstSeed] = [Number(values.seeds), Number(values.seed)]
if (!(Number.isInteger(seeds) && seeds > 0 && Number.isInteger(firstSeed)))
  throw new Error('--seeds and --seed are whole numbers')
const PROMISED = 0.01
const began = performance.now()

function measure(row: Row): Outcome {
  const outcome = simulate(row, seeds, firstSeed)
  console.error(
    `${row.what}: ${outcome.rolledBack} of ${seeds} rolled back, ${Math.round((performance.now() - began) / 1000)} s`,
  )
  return outcome
}

const percent = (share: number) => `${(100 * share).toFixed(2)} %`
const whole = (count: number) => (Number.isNaN(count) ? '–' : String(count))

function shareOf({ rolledBack, seeds: of }: Outcome): string {
  const [low, high] = intervalOf(rolledBack, of)
  return `${percent(rolledBack / of)} (${percent(low)} – ${percent(high)})`
}

function cellsOf(outcome: Outcome): string[] {
  const { caughtAfter, unresolved } = outcome
  return [shareOf(outcome), whole(caughtAfter.p50), whole(caughtAfter.p90), String(unresolved)]
}

const HEAD = ['rolled back (95 % interval)', 'after canary conversations: median', 'p90', 'neither stable nor back']

/** In which rows the figure that is claimed is not the one that was measured. */
const differences: string[] = []

function compare({ what, claimed, sound }: Row, { rolledBack, caughtAfter }: Outcome): void {
  if (claimed === undefined) return
  const [low, high] = intervalOf(rolledBack, seeds)
  const claim = Number.parseFloat(claimed)
  if (sound && claim / 100 >= low && claim / 100 <= high) return
  if (!sound && claim === caughtAfter.p50) return
  differences.push(`${what}: ${claimed} claimed, ${sound ? percent(rolledBack / seeds) : caughtAfter.p50} measured`)
}

const shippedRows = shipped.map((row) => {
  const outcome = measure(row)
  compare(row, outcome)
  if (row.sound && intervalOf(outcome.rolledBack, seeds)[0] > PROMISED) process.exitCode = 1
  const claim = row.claimed === undefined ? '' : `${row.sound ? 'rolled back' : 'median'} ${row.claimed}`
  return [row.what, claim, ...cellsOf(outcome)]
})
const alternativeRows = alternatives.flatMap(([asShipped, breaking]) => [
  [`**${asShipped.what}**`, asShipped.judged ?? 'as shipped', '', ...cellsOf(measure(asShipped))],
  ['', breaking.what, breaking.claimed ?? '', ...cellsOf(measure(breaking))],
])

function verdictOnClaims(): string {
  if (differences.length === 0) return 'All as claimed.'
  return `Not as claimed: ${differences.join('; ')}. The claims do not say at which rates and traffic they were made.`
}

const about = {
  date: new Date().toISOString().slice(0, 10),
  ...describeMachine(),
  ...{ seeds: `${seeds} per row, from ${firstSeed}`, seconds: Math.round((performance.now() - began) / 1000) },
}
const text = `## rollout

${Object.entries(about)
  .map(([name, value]) => `${name}: ${value}`)
  .join(' · ')}

One rollout per seed from its start until it is stable or rolled back: 5, 25 and 50 % of new conversations, with 50, 100 and 200
trials at least, then baking for 15 minutes. A conversation arrives every 10 s, and a trial closes 15 minutes later. Of stable's
conversations ${percent(RATES['turn-error'])} have a turn error, ${percent(RATES['action-failed'])} a failed action, ${percent(RATES['not-completed'])} are not completed, ${percent(RATES['thumbs-down'])} get a thumbs-down;
half are slower and dearer than the p50, a tenth than the p90. The metrics are independent of one another, and a canary is worse
by turn errors alone. The baseline is what 1,000 such conversations happened to have. The judge is that of \`src/config/rollout/judge.ts\`.

### As shipped, six metrics

${table(['version', 'claimed', ...HEAD], shippedRows)}

${verdictOnClaims()}

### Ways of judging that break it, turn errors alone

Of a sound version, one rolled back is a false one; turn errors alone may cost 0.30 %.

${table(['version', 'judged', 'claimed', ...HEAD], alternativeRows)}
`
console.log(text)
if (values.record) writeFileSync(new URL('./results/rollout.md', import.meta.url), text)
