import type { Compared, LiveShadow, ShadowComparison, SkipReason } from '../shadow.ts'
import { emptySide, type SideTotals, sideFigures, withSide } from './side-totals.ts'

/**
 * What a shadow came to so far. Money is booked before it is spent: at most what a copy may come to, and what is left of that is
 * given back when it has ended. So a replica that dies leaves too much booked, and the budget holds all the same.
 */
export interface Tally {
  /** Copies begun. */
  taken: number
  compared: number
  lost: number
  spentUsd: number
  /** Under way. */
  held: readonly Held[]
  skipped: Readonly<Record<string, number>>
  overlap: { sum: number; turns: number }
  served: SideTotals
  shadowed: SideTotals
}

interface Held {
  id: string
  usd: number
  /** ms since the epoch. */
  at: number
}

export type Booking = 'taken' | 'held' | 'turns' | 'budget'

/** No copy takes so long: whoever held it is gone, and what it spent nobody knows. */
const HELD_MS = 10 * 60_000
/** Sums of fractions are not exact. */
const ROUNDING_USD = 1e-9

export function emptyTally(): Tally {
  const overlap = { sum: 0, turns: 0 }
  const counts = { taken: 0, compared: 0, lost: 0, spentUsd: 0 }
  return { ...counts, held: [], skipped: {}, overlap, served: emptySide(), shadowed: emptySide() }
}

/**
 * Books a copy: `taken`, or why not. `held`: it does not fit beside those under way, which may give something back; `turns`,
 * `budget`: nothing more will.
 */
export function book(
  before: Tally,
  { turns, budgetUsd }: Pick<LiveShadow, 'turns' | 'budgetUsd'>,
  copy: Held,
): { tally: Tally; booking: Booking } {
  const tally = withoutLost(before, copy.at)
  if (tally.taken >= turns) return { tally, booking: tally.held.length > 0 ? 'held' : 'turns' }
  const bookedUsd = tally.spentUsd + heldUsd(tally) + copy.usd
  if (bookedUsd > budgetUsd + ROUNDING_USD) return { tally, booking: tally.held.length > 0 ? 'held' : 'budget' }
  return { tally: { ...tally, taken: tally.taken + 1, held: [...tally.held, copy] }, booking: 'taken' }
}

/** A copy has ended. One that was held for too long has been counted as lost, with all it had booked. */
export function settle(before: Tally, id: string, spentUsd: number, compared: Compared | null): Tally {
  if (!before.held.some((copy) => copy.id === id)) return before
  const tally = {
    ...before,
    held: before.held.filter((copy) => copy.id !== id),
    spentUsd: before.spentUsd + spentUsd,
  }
  if (!compared) return tally
  const { overlap } = compared
  return {
    ...tally,
    compared: tally.compared + 1,
    served: withSide(tally.served, compared.served),
    shadowed: withSide(tally.shadowed, compared.shadowed),
    ...(overlap !== null && { overlap: { sum: tally.overlap.sum + overlap, turns: tally.overlap.turns + 1 } }),
  }
}

export function withSkipped(tally: Tally, skipped: ReadonlyMap<SkipReason, number>): Tally {
  const sums: Record<string, number> = { ...tally.skipped }
  for (const [reason, times] of skipped) sums[reason] = (sums[reason] ?? 0) + times
  return { ...tally, skipped: sums }
}

export function comparisonOf(tally: Tally, { id, version }: Pick<LiveShadow, 'id' | 'version'>): ShadowComparison {
  const { taken, compared, lost, spentUsd, overlap, served, shadowed } = tally
  const names = new Set([...Object.keys(served.actions), ...Object.keys(shadowed.actions)])
  const none = { calls: 0, outcomes: {}, arguments: {} }
  const callsOf = (side: SideTotals, name: string) => (Object.hasOwn(side.actions, name) && side.actions[name]) || none
  return {
    shadow: id,
    version,
    turns: { taken, compared, lost },
    costUsd: { spent: spentUsd, held: heldUsd(tally) },
    skipped: tally.skipped,
    overlap: overlap.turns === 0 ? null : overlap.sum / overlap.turns,
    served: sideFigures(served, compared),
    shadowed: sideFigures(shadowed, compared),
    actions: [...names].sort().map((action) => {
      return { action, served: callsOf(served, action), shadowed: callsOf(shadowed, action) }
    }),
  }
}

function withoutLost(tally: Tally, now: number): Tally {
  const lost = tally.held.filter(({ at }) => at <= now - HELD_MS)
  if (lost.length === 0) return tally
  return {
    ...tally,
    held: tally.held.filter((copy) => !lost.includes(copy)),
    lost: tally.lost + lost.length,
    spentUsd: tally.spentUsd + lost.reduce((sum, { usd }) => sum + usd, 0),
  }
}

function heldUsd({ held }: Tally): number {
  return held.reduce((sum, { usd }) => sum + usd, 0)
}
