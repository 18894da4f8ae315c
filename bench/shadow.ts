import { ShadowTurns } from '#chat/shadow/shadow-turns.ts'
import { tokenCounter } from '#chat/token-counter.ts'
import type { TurnContext } from '#chat/turn-context.ts'
import type { LiveShadow } from '#config/shadow.ts'
import { newId } from '#ids.ts'
import { createLog } from '#log.ts'
import { systemClock } from '#platform/clock.ts'
import { callTimes, PER_BATCH } from './call-times.ts'
import { pin } from './machine.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'
import { spreadOf } from './statistics.ts'

const BATCHES = 2000
const OFF_LIMIT_US = 0.5
const ON_LIMIT_US = 20

const live: LiveShadow = {
  ...{ id: newId('shadow'), version: 'v2', hash: 'v2', budgetUsd: 1, turns: 1, share: 100 },
  ...{ startedAt: 0, startedBy: 'bench', until: Number.MAX_SAFE_INTEGER },
}

/** What the end of a turn pays beside its own work: it is offered, and the copy, if there is one, begins after this. */
export async function measureShadow({ cores, quick, say }: BenchOptions): Promise<PartReport> {
  say('shadow')
  // This process is the one that is measured now.
  if (cores) pin(process.pid, cores.target)
  const batches = quick ? BATCHES / 4 : BATCHES
  const turns = Array.from({ length: batches * PER_BATCH }, turnAtHand)
  const settings = [
    { what: 'nothing is tried', shadow: undefined, limitUs: OFF_LIMIT_US },
    { what: 'tried, and the turn not drawn', shadow: { ...live, share: 1e-9 }, limitUs: ON_LIMIT_US },
    { what: 'tried, drawn, and the replica loaded', shadow: live, limitUs: ON_LIMIT_US },
  ]
  const rows = settings.map(({ what, shadow, limitUs }) => {
    const offered = offering(shadow)
    const call = (at: number) => offered.offer(turns[at] ?? turnAtHand(), { status: 'completed' })
    callTimes(call, batches)
    return { what, limitUs, ...spreadOf(callTimes(call, batches)) }
  })
  if (cores) pin(process.pid, cores.harness)
  const text = table(
    ['what', 'p50 µs', 'p95 µs', 'p99 µs'],
    rows.map(({ what, p50, p95, p99 }) => [what, ...[p50, p95, p99].map(figure)]),
  )
  const gates = rows.map(({ what, p95, limitUs }) => atMost(`${what}, p95`, 'parley', p95, limitUs, ' µs'))
  return { text: `${text}\n\n${gateTable(gates)}`, gates, data: { rows } }
}

function turnAtHand(): TurnContext {
  const input = { turn: newId('turn'), followUp: null, alone: null }
  return { input, prompt: [{ role: 'user', content: 'Hello' }], config: { hash: 'v1' } } as unknown as TurnContext
}

function offering(shadow: LiveShadow | undefined): ShadowTurns {
  return new ShadowTurns({
    book: {
      live: () => shadow,
      take: async () => undefined,
      settle: async () => {},
      skipped: () => {},
      onStop: () => () => {},
    },
    configs: { get: () => undefined },
    models: { answer: () => Promise.reject(new Error('Nothing is asked here.')), use: () => {}, close: async () => {} },
    served: { health: () => [] },
    actions: { tools: () => [] },
    counter: tokenCounter,
    hasConsented: async () => false,
    isLoaded: () => true,
    clock: systemClock,
    log: createLog('silent'),
  })
}
