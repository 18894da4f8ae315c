/**
 * `npm run fuzz`: requests drawn from the published document, to the whole app; ends by itself. `-- --seed n --requests n`
 * repeats one; `--engines shared` has Redis, PostgreSQL and a broker in place of what is embedded, `--only id` draws from
 * that operation (may be given again), `--record` keeps what was found.
 */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { fuzz } from '../test/support/fuzz/fuzz.ts'
import { startSharedEngines } from '../test/support/shared-engines.ts'
import { type FuzzRun, recordRun, report } from './fuzz-report.ts'
import { describeMachine } from './machine.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    requests: { type: 'string', default: '50000' },
    engines: { type: 'string', default: 'embedded' },
    only: { type: 'string', multiple: true, default: [] },
    record: { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed ?? randomInt(2 ** 31))
const engines = values.engines === 'shared' ? 'shared' : 'embedded'
process.stdout.write(`seed ${seed}\n`)
const started = performance.now()
await using shared = engines === 'shared' ? await startSharedEngines() : undefined
const found = await fuzz({
  requests: Number(values.requests),
  seed,
  operations: values.only,
  variables: shared?.variables ?? {},
})
const run: FuzzRun = {
  date: new Date().toISOString().slice(0, 10),
  machine: describeMachine(),
  ...{ engines, seed, requests: found.requests },
  seconds: Math.round((performance.now() - started) / 1000),
  answers: Object.fromEntries([...found.answers].map(([id, counts]) => [id, Object.fromEntries(counts)])),
  faults: [...found.faults].map(([what, fault]) => ({ what, ...fault })),
}
process.stdout.write(`${report([run])}\n`)
if (values.record) recordRun(run)
if (run.faults.length > 0) process.exitCode = 1
