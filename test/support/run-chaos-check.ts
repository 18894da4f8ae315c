import assert from 'node:assert/strict'
import type { RunChaosReport } from './run-chaos.ts'
import { type Asked, IDEMPOTENT_PATHS } from './run-ledger.ts'

/** How many runs came to what, by action and status. */
export type Outcomes = Record<string, number>

/** No run lost, none done twice, order kept. */
export function checkRuns({ planned, runs, ledger }: RunChaosReport): Outcomes {
  const byKey = new Map(runs.map((run) => [run.key, run]))
  assert.equal(runs.length, planned.length, 'a call has more than one run, or none')
  const outcomes: Outcomes = {}
  for (const { key, action, arguments: text } of planned) {
    const run = byKey.get(key)
    assert.ok(run, `${key} is lost`)
    const entry = ledger.entries.get(run.id)
    const effects = entry?.effects ?? 0
    const story = `${action} ${key} (${run.id}) ended as ${run.status}; done ${effects} times`
    if (entry) assert.deepEqual(entry.asked, JSON.parse(text), `${story}, with other arguments`)
    if (IDEMPOTENT_PATHS.includes(action)) assert.equal(run.status, 'succeeded', story)
    else assert.ok(run.status === 'succeeded' || run.status === 'unknown', story)
    assert.ok(effects <= 1, story)
    if (run.status === 'succeeded') assert.equal(effects, 1, story)
    const outcome = `${action} ${run.status}`
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  }
  const known = new Set(runs.map(({ id }) => id))
  for (const key of ledger.entries.keys()) assert.ok(known.has(key), `${key} is no run`)
  checkOrder(ledger.arrivals)
  return outcomes
}

/** In each conversation nothing arrives once a later one has. */
function checkOrder(arrivals: readonly Asked[]): void {
  const latest = new Map<string, number>()
  for (const { lane, x } of arrivals) {
    const before = latest.get(lane) ?? 0
    assert.ok(x === before || x === before + 1, `${lane}: ${x} came after ${before}`)
    latest.set(lane, x)
  }
}
