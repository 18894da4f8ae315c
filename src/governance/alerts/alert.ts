import type { BudgetReached } from '#events/events.ts'
import { pseudonymOf } from '../budgets/scope.ts'

export type Severity = 'info' | 'warning' | 'critical'
export type Channel = 'log' | 'webhook' | 'email'

/** What somebody should hear of. No content, and people by their pseudonym alone. */
export interface Alert {
  /** The same however often it is told. */
  id: string
  severity: Severity
  kind: 'budget.reached'
  tenant: string
  /** `tenant:<tid>`, `group:<tid>:<id>`, `user:<tid>:<pseudonym>`. */
  scope: string
  percent: number
  spentUsd: number
  limitUsd: number
  at: number
}

export function alertOf(id: string, { tenant, scope, percent, spentUsd, limitUsd, at }: BudgetReached): Alert {
  const severity = percent >= 95 ? 'critical' : percent >= 85 ? 'warning' : 'info'
  const kind = 'budget.reached'
  return { id, severity, kind, tenant, scope: pseudonymOf(scope), percent, spentUsd, limitUsd, at }
}

/** As a person reads it. */
export function wordsOf({ severity, scope, percent, spentUsd, limitUsd, at }: Alert): {
  subject: string
  text: string
} {
  const lines = [
    `${percent} % of a budget are spent: ${spentUsd.toFixed(2)} of ${limitUsd.toFixed(2)} USD.`,
    '',
    `Budget: ${scope}`,
    `Time:   ${new Date(at).toISOString()}`,
    '',
    percent >= 100 ? 'New work is refused until the budget is raised or begins anew.' : 'At 100 % new work is refused.',
  ]
  return { subject: `[Parley] ${severity}: ${percent} % of a budget are spent`, text: lines.join('\n') }
}
