import { startHarness } from './harness.ts'
import type { Job } from './jobs.ts'
import { startParley, TO } from './parley.ts'
import type { BenchOptions, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'
import { startSharedState } from './shared-state.ts'
import { median } from './statistics.ts'

/** The command that stops a turn: from when it is sent until the provider's socket closes. */
export async function measureCancel(options: BenchOptions): Promise<PartReport> {
  await using opened = new AsyncDisposableStack()
  const core = options.cores?.target
  const { upstreamUrl, measure } = opened.use(await startHarness())
  const shared = opened.use(await startSharedState())
  const alone = opened.use(await startParley({ upstreamUrl, core }))
  const first = opened.use(await startParley({ upstreamUrl, core, shared }))
  const second = opened.use(await startParley({ upstreamUrl, core, shared }))
  const ways = [
    { way: 'same replica, SQLite', server: alone, cancelUrl: alone.url, limitMs: 20 },
    { way: 'same replica, Redis', server: first, cancelUrl: first.url, limitMs: 20 },
    { way: 'another replica, Redis', server: first, cancelUrl: second.url, limitMs: 100 },
  ].map((way) => ({ ...way, p50: [] as number[], p95: [] as number[], lost: 0 }))

  for (let round = 0; round < options.rounds + 1; round++) {
    for (const way of ways) {
      const job: Job = {
        dialect: 'turns',
        to: TO.turns.mock,
        url: way.server.url,
        cancelUrl: way.cancelUrl,
        upstreamUrl,
        plan: { tokens: 400, rate: 50, burst: 1, delayMs: 0 },
        streams: options.quick ? 50 : 200,
        atOnce: 20,
        rampMs: 100,
        cancelAfter: 5,
      }
      const { report } = await measure(way.server.pid, job)
      // The first round warms up.
      if (round > 0) {
        way.p50.push(report.cancelMs.p50)
        way.p95.push(report.cancelMs.p95)
      }
      way.lost += Object.values(report.faults).reduce((sum, count) => sum + count, 0)
      options.say(`cancel: ${way.way}: p95 ${figure(report.cancelMs.p95)} ms ${JSON.stringify(report.faults)}`)
    }
  }
  const rows = ways.map(({ way, p50, p95, lost, limitMs }) => ({
    way,
    p50: median(p50),
    p95: median(p95),
    lost,
    limitMs,
  }))
  const text = table(
    ['command goes to', 'p50 ms', 'p95 ms', 'lost'],
    rows.map(({ way, p50, p95, lost }) => [way, figure(p50), figure(p95), String(lost)]),
  )
  const gates = rows.flatMap(({ way, p95, lost, limitMs }) => [
    atMost('cancel p95', way, p95, limitMs, ' ms'),
    atMost('cancels lost', way, lost, 0, ''),
  ])
  return { text: `${text}\n\n${gateTable(gates)}`, gates, data: { rows } }
}
