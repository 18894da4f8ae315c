import { CHAT_GATES, type ChatGate } from './gates.ts'
import type { Measured } from './harness.ts'
import { METRICS } from './metrics.ts'
import { MODES, type Mode } from './modes.ts'
import type { Gate, PartReport } from './parts.ts'
import { atMost, figure, gateTable, table } from './report.ts'
import { median } from './statistics.ts'
import type { TargetName } from './targets.ts'

/** One load on one target. */
export interface Run extends Measured {
  round: number
  mode: Mode
  target: TargetName
}

const BASE: TargetName = 'bare'

/** What one metric came to for one target. */
interface Row {
  mode: Mode
  metric: string
  target: TargetName
  /** Median of the rounds. */
  value: number
  /** Median of the ratios to the bare pass-through within each round. */
  ratio: number
}

export function reportChat(runs: readonly Run[], modes: readonly Mode[], names: readonly TargetName[]): PartReport {
  const rows = modes.flatMap((mode) =>
    Object.keys(METRICS[mode]).flatMap((metric) => names.map((target) => rowOf(runs, mode, metric, target))),
  )
  const gates = [...CHAT_GATES.flatMap((gate) => judged(gate, rows)), ...names.map((name) => soundness(runs, name))]
  const sections = modes.map((mode) => `### ${mode}: ${MODES[mode].what}\n\n${modeTable(runs, rows, mode, names)}`)
  return { text: [...sections, gateTable(gates)].join('\n\n'), gates, data: { rows, runs } }
}

function rowOf(runs: readonly Run[], mode: Mode, metric: string, target: TargetName): Row {
  const of = METRICS[mode][metric] ?? (() => Number.NaN)
  const inRound = (round: number, name: TargetName) => {
    const run = runs.find((one) => one.round === round && one.mode === mode && one.target === name)
    return run ? of(run) : Number.NaN
  }
  const rounds = [...new Set(runs.map(({ round }) => round))]
  return {
    mode,
    metric,
    target,
    value: median(rounds.map((round) => inRound(round, target))),
    ratio: median(rounds.map((round) => inRound(round, target) / inRound(round, BASE))),
  }
}

function modeTable(runs: readonly Run[], rows: readonly Row[], mode: Mode, names: readonly TargetName[]): string {
  const metrics = Object.keys(METRICS[mode])
  const usesRedis = runs.some((run) => run.mode === mode && run.redisCpuMs > 0)
  const lines = names.map((target) => {
    const own = runs.filter((run) => run.mode === mode && run.target === target)
    const cells = metrics.map((metric) => {
      const row = rows.find((one) => one.mode === mode && one.metric === metric && one.target === target)
      return row ? `${figure(row.value)} (${figure(row.ratio)}×)` : '–'
    })
    const redis = median(own.map(({ redisCpuMs, cpuMs }) => redisCpuMs / cpuMs))
    const busy = `${Math.round(median(own.map(({ harnessBusy }) => harnessBusy)) * 100)} %`
    return [target, ...cells, ...(usesRedis ? [redis > 0 ? `+ ${Math.round(redis * 100)} %` : ''] : []), busy]
  })
  return table(['target', ...metrics, ...(usesRedis ? ['CPU of Redis'] : []), 'harness busy'], lines)
}

function judged({ mode, metric, relation, limits }: ChatGate, rows: readonly Row[]): Gate[] {
  return rows.flatMap((row): Gate[] => {
    const limit = limits[row.target]
    if (row.mode !== mode || row.metric !== metric || limit === undefined) return []
    const what = `${mode}: ${metric}`
    if (relation === 'ratio at most') return [atMost(what, row.target, row.ratio, limit, '×')]
    if (relation === 'at most') return [atMost(what, row.target, row.value, limit, '')]
    return [{ what, target: row.target, limit: `≥ ${limit}`, measured: figure(row.value), passed: row.value >= limit }]
  })
}

/** Nothing corrupt, missing, doubled, unfinished, refused, or never cancelled. */
function soundness(runs: readonly Run[], target: TargetName): Gate {
  const faults: Record<string, number> = {}
  let streams = 0
  for (const { report, streams: asked } of runs.filter((run) => run.target === target)) {
    streams += asked
    for (const [kind, count] of Object.entries(report.faults)) faults[kind] = (faults[kind] ?? 0) + count
  }
  const found = Object.entries(faults).map(([kind, count]) => `${count} ${kind}`)
  const measured = found.join(', ') || `none in ${streams} streams`
  return { what: 'faults', target, limit: 'none', measured, passed: found.length === 0 }
}
