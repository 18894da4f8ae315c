import type { Served } from '#events/events.ts'
import type { Principal } from '#identity/principal.ts'

/**
 * What tenants, Entra groups and users may spend. Each call of a model reserves the most that it may cost and settles what it
 * did; all that may be spent from is looked at in one atomic step. Made by `createBudgets`.
 */
export interface Budgets {
  /** Rejects with budget_exceeded; groups_unknown, state_unavailable or database_unavailable where it cannot be told, and a budget may be set. */
  check(principal: Principal): Promise<void>
  /** What the answers to somebody are paid from, and what they are served from; undefined where no budget is set. */
  spending(principal: Principal, served: Served): Spending | undefined
  /** Ids of the Entra groups of a tenant that have a budget, as far as it is known. */
  groups(tenant: string): readonly string[]
  list(): Promise<BudgetView[]>
  /** Creates it, or changes the version that is named. Rejects with invalid_request, precondition_required, version_conflict. */
  set(by: Principal, scope: string, terms: BudgetTerms, ifVersion: number | undefined): Promise<BudgetView>
  /** For a stated amount and time, more than the budget. Rejects with not_found, version_conflict. */
  override(by: Principal, scope: string, override: Override, ifVersion: number): Promise<BudgetView>
  /** Rejects with not_found, version_conflict. */
  remove(by: Principal, scope: string, ifVersion: number): Promise<void>
  close(): Promise<void>
}

/** The calls of one answer, in their order. */
export interface Spending {
  /** The most that the next call may cost. Rejects as `check` does. */
  reserve(usd: number): Promise<void>
  /** What the earliest call that is not settled has cost. */
  settle(usd: number): void
  /** What was spent without having been reserved here. */
  charge(usd: number): void
  /** What was reserved and is not settled was not used. */
  close(): void
}

export interface BudgetTerms {
  limitUsd: number
  /** Of the calendar, by UTC. */
  period: 'day' | 'month'
}

export interface Override {
  addUsd: number
  /** ms since the epoch. */
  until: number
  reason: string
}

export interface Budget extends BudgetTerms {
  /** `tenant:<tid>`, `group:<tid>:<id>`, `user:<tid>:<oid>`. */
  scope: string
  override: Override | null
  version: number
}

export interface BudgetView extends Budget {
  spentUsd: number
  /** Of calls under way, the most that they may cost. */
  reservedUsd: number
}

/** Of the limit, in percent: each is told once; at the last, what is under way is cut. */
export const budgetLevels = [70, 85, 95, 100, 110] as const
