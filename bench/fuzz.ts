/**
 * `npm run fuzz`: requests to the whole app, drawn from the published document (`--part http`), from what is documented of
 * WebSockets (`websocket`), of sign-in (`sign-in`), and of pages of other origins (`cross-origin`); all of them where none is named.
 * Ends by itself. `-- --seed n --requests n` repeats a run; `--engines shared` has Redis, PostgreSQL and a broker in place of what
 * is embedded, `--only id` draws from that operation of the document (may be given again), `--record` keeps what was found.
 */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { type FuzzPart, fuzz, fuzzParts } from '../test/support/fuzz/fuzz.ts'
import { startSharedEngines } from '../test/support/shared-engines.ts'
import { type FuzzRun, recordRun, report } from './fuzz-report.ts'
import { describeMachine } from './machine.ts'

const REQUESTS: Readonly<Record<FuzzPart, number>> = {
  http: 50_000,
  websocket: 10_000,
  'sign-in': 10_000,
  'cross-origin': 10_000,
}

const { values } = parseArgs({
  options: {
    part: { type: 'string', multiple: true, default: Object.keys(REQUESTS) },
    seed: { type: 'string' },
    requests: { type: 'string' },
    engines: { type: 'string', default: 'embedded' },
    only: { type: 'string', multiple: true, default: [] },
    record: { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed ?? randomInt(2 ** 31))
const engines = values.engines === 'shared' ? 'shared' : 'embedded'
process.stdout.write(`seed ${seed}\n`)
for (const part of values.part) {
  if (!isPart(part)) throw new Error(`--part is one of ${Object.keys(fuzzParts).join(', ')}`)
  await using shared = engines === 'shared' ? await startSharedEngines() : undefined
  const started = performance.now()
  const found = await fuzz({
    part,
    requests: Number(values.requests ?? REQUESTS[part]),
    seed,
    operations: values.only,
    variables: shared?.variables ?? {},
  })
  const run: FuzzRun = {
    date: new Date().toISOString().slice(0, 10),
    machine: describeMachine(),
    ...{ part, engines, seed, requests: found.requests },
    seconds: Math.round((performance.now() - started) / 1000),
    answers: Object.fromEntries([...found.answers].map(([id, counts]) => [id, Object.fromEntries(counts)])),
    faults: [...found.faults].map(([what, fault]) => ({ what, ...fault })),
  }
  process.stdout.write(`${report([run])}\n`)
  if (values.record) recordRun(run)
  if (run.faults.length > 0) process.exitCode = 1
}

function isPart(name: string): name is FuzzPart {
  return Object.hasOwn(fuzzParts, name)
}
