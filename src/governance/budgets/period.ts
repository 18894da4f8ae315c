import type { Budget } from '../budgets.ts'

/** The calendar's day or month that a time is in, by UTC; ms since the epoch. */
export function periodOf({ period }: Pick<Budget, 'period'>, now: number): { start: number; end: number } {
  const date = new Date(now)
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
  return period === 'day'
    ? { start: Date.UTC(year, month, day), end: Date.UTC(year, month, day + 1) }
    : { start: Date.UTC(year, month), end: Date.UTC(year, month + 1) }
}

/** With what an operator has added for the time being. */
export function effectiveLimit({ limitUsd, override }: Pick<Budget, 'limitUsd' | 'override'>, now: number): number {
  return override && override.until > now ? limitUsd + override.addUsd : limitUsd
}
