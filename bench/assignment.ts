import type { ConfigVersion } from '#config/document.ts'
import { createServing } from '#config/rollout/serving-now.ts'
import type { LiveRollout, RolloutState } from '#config/rollout/state.ts'
import type { Pin } from '#config/serving.ts'
import { newId } from '#ids.ts'
import { createLog } from '#log.ts'
import { callTimes, PER_BATCH } from './call-times.ts'
import { pin } from './machine.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'
import { spreadOf } from './statistics.ts'

const BATCHES = 2000
const LIMIT_US = 5

const [STABLE, CANDIDATE] = ['v1', 'v2'].map((name): ConfigVersion => {
  return { name, hash: name, document: { description: name, models: {}, routes: {}, specialists: {} } }
}) as [ConfigVersion, ConfigVersion]

/**
 * What it costs to know which version serves: to draw the arm of a new conversation while a rollout lasts, and to resolve what an
 * old one has pinned. Times are of 100 calls in a row each, since one is too short for a clock.
 */
export async function measureAssignment({ cores, quick, say }: BenchOptions): Promise<PartReport> {
  say('assignment')
  // This process is the one that is measured now.
  if (cores) pin(process.pid, cores.target)
  const batches = quick ? BATCHES / 4 : BATCHES
  const units = Array.from({ length: batches * PER_BATCH }, () => newId('conv'))
  const [rollingOut, settled] = [servingOf(liveRollout()), servingOf(null)]
  const pins = units.map((unit): Pin => {
    const { config, arm, cohort } = rollingOut.assign(unit)
    return { config: config.name, arm, cohort }
  })
  const calls: Record<string, (at: number) => unknown> = {
    'draw an arm': (at) => rollingOut.assign(units[at] ?? ''),
    'resolve a pin': (at) => rollingOut.resolve(pins[at] ?? NO_PIN),
    'no rollout: draw': (at) => settled.assign(units[at] ?? ''),
    'no rollout: resolve a pin of an old one': (at) => settled.resolve(pins[at] ?? NO_PIN),
  }
  const rows = Object.entries(calls).map(([what, call]) => {
    callTimes(call, batches)
    return { what, ...spreadOf(callTimes(call, batches)) }
  })
  if (cores) pin(process.pid, cores.harness)
  const text = table(
    ['what', 'p50 µs', 'p95 µs', 'p99 µs'],
    rows.map(({ what, p50, p95, p99 }) => [what, ...[p50, p95, p99].map(figure)]),
  )
  const gates = rows.map(({ what, p95 }) => atMost(`${what}, p95`, 'parley', p95, LIMIT_US, ' µs'))
  return { text: `${text}\n\n${gateTable(gates)}`, gates, data: { rows } }
}

const NO_PIN: Pin = { config: '', arm: 'stable', cohort: '' }

function servingOf(live: LiveRollout | null) {
  const versions = new Map([STABLE, CANDIDATE].map((version) => [version.name, version]))
  const known = {
    get: (name: string) => versions.get(name),
    newest: () => CANDIDATE,
    list: () => [],
    onChange: () => () => {},
    refresh: async () => {},
  }
  const last = {
    ...{ epoch: 1, at: 0, rollout: null, candidate: null, from: '', to: '', by: 'system', operator: null },
    ...{ reason: '', evidence: null },
  }
  const state: RolloutState = { epoch: 1, stable: { version: 'v1', hash: 'v1' }, live, finished: [], last }
  return createServing(known, createLog('silent'), state, () => false)
}

function liveRollout(): LiveRollout {
  return {
    ...{
      id: newId('roll'),
      candidate: { version: 'v2', hash: 'v2' },
      salt: 'bench',
      status: 'canary',
      paused: null,
    },
    ...{ step: 0, steps: [{ weight: 25, conversations: 100 }], bakeMs: 0, waived: [], baseline: null },
    ...{ startedAt: 0, startedBy: 'bench', since: 0 },
  }
}
