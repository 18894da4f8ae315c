/** `npm run fuzz`: requests drawn from the published document, to the whole app; ends by itself. `-- --seed n --requests n` repeats one. */
import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fuzz } from '../test/support/fuzz/fuzz.ts'
import { table } from './report.ts'

const { values } = parseArgs({ options: { seed: { type: 'string' }, requests: { type: 'string', default: '50000' } } })
const seed = Number(values.seed ?? randomInt(2 ** 31))
process.stdout.write(`seed ${seed}\n`)
const started = performance.now()
const { requests, statuses, faults } = await fuzz({ requests: Number(values.requests), seed })
const seconds = Math.round((performance.now() - started) / 1000)
const found = [...faults].map(
  ([what, { times, first }]) => `- ${times} × ${what}\n\n      ${first.replaceAll('\n', ' ')}\n`,
)
const text = [
  '# API fuzzing',
  `\`npm run fuzz -- --seed ${seed} --requests ${values.requests}\`: ${requests} requests in ${seconds} s, ${faults.size} kinds of faults.`,
  table(
    ['status', 'answers'],
    Object.entries(statuses).map(([status, times]) => [status, `${times}`]),
  ),
  ...found,
].join('\n\n')
process.stdout.write(`${text}\n`)
if (requests >= 50_000) writeFileSync(new URL('results/fuzz.md', import.meta.url), `${text}\n`)
if (faults.size > 0) process.exitCode = 1
