import { bucketOf, bucketsOf, percentile } from '../rollout/histogram.ts'
import type { CallFigures, Side, SideFigures } from '../shadow.ts'

/** Sums over the turns of one side, of what its figures are the means of. */
export interface SideTotals extends Omit<SideFigures, 'firstTokenMs'> {
  /** Turns by bucket of their time to the first token. */
  firstToken: Readonly<Record<number, number>>
  /** By name; `?` for all that the version does not have. */
  actions: Readonly<Record<string, CallFigures>>
}

const UNKNOWN = '?'
const firstTokenScale = { least: 1, most: 600_000 }

export function emptySide(): SideTotals {
  const sums = { characters: 0, inputTokens: 0, outputTokens: 0, costUsd: 0 }
  return { finishes: {}, failures: {}, ...sums, firstToken: {}, actions: {} }
}

export function withSide(totals: SideTotals, side: Side): SideTotals {
  const { firstTokenMs } = side
  return {
    finishes: side.finish === null ? totals.finishes : oneMore(totals.finishes, side.finish),
    failures: side.failure === null ? totals.failures : oneMore(totals.failures, side.failure),
    characters: totals.characters + side.characters,
    inputTokens: totals.inputTokens + side.inputTokens,
    outputTokens: totals.outputTokens + side.outputTokens,
    costUsd: totals.costUsd + side.costUsd,
    firstToken:
      firstTokenMs === null
        ? totals.firstToken
        : oneMore(totals.firstToken, String(bucketOf(firstTokenMs, firstTokenScale))),
    actions: side.calls.reduce(withCall, totals.actions),
  }
}

export function sideFigures(totals: SideTotals, turns: number): SideFigures {
  const mean = (sum: number) => (turns === 0 ? 0 : sum / turns)
  const counts = Array.from({ length: bucketsOf(firstTokenScale) }, (_, bucket) => totals.firstToken[bucket] ?? 0)
  const firstToken = (share: number) => percentile(counts, share, firstTokenScale)
  const hasSpoken = counts.some((count) => count > 0)
  return {
    finishes: totals.finishes,
    failures: totals.failures,
    characters: mean(totals.characters),
    inputTokens: mean(totals.inputTokens),
    outputTokens: mean(totals.outputTokens),
    costUsd: mean(totals.costUsd),
    firstTokenMs: hasSpoken ? { p50: firstToken(0.5), p90: firstToken(0.9) } : null,
  }
}

function withCall(actions: SideTotals['actions'], { action, outcome, arguments: names }: Side['calls'][number]) {
  const name = action ?? UNKNOWN
  const before = (Object.hasOwn(actions, name) && actions[name]) || { calls: 0, outcomes: {}, arguments: {} }
  const after: CallFigures = {
    calls: before.calls + 1,
    outcomes: oneMore(before.outcomes, outcome),
    arguments: names.reduce(oneMore, before.arguments),
  }
  return { ...actions, [name]: after }
}

function oneMore(counts: Readonly<Record<string, number>>, name: string): Record<string, number> {
  const before = Object.hasOwn(counts, name) ? (counts[name] ?? 0) : 0
  return { ...counts, [name]: before + 1 }
}
