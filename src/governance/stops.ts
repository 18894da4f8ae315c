import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'

/** What is not to go on, on any replica: kill-switches, and budgets that are far over. Made by `createStops`. */
export interface Stops {
  list(): readonly Stop[]
  /** What stops this work, if anything does. From memory. */
  found(work: Work): Stop | undefined
  /** In force on this replica when it resolves, and on every other within half a second. */
  set(stop: Stop): Promise<void>
  /** False when there was none. */
  lift(scope: string): Promise<boolean>
  /** Hears of every change; the result ends it. */
  onChange(listener: () => void): () => void
  close(): void
}

export interface Stop {
  /** `all`, or `tenant:`, `specialist:`, `model:`, `action:` with a name; of a budget, `budget:` with the budget's scope. */
  scope: string
  reason: string
  /** Pseudonymous; null for the process itself. */
  by: string | null
  /** ms since the epoch. */
  at: number
  /** It ends by itself; null: not before it is lifted. */
  until: number | null
}

/** What is under way, or about to be; what is not said is not stopped by its name. */
export interface Work {
  principal?: Pick<Principal, 'tenant' | 'id' | 'groups'>
  specialist?: string
  model?: string
  action?: string
}

const SWITCH = /^(?:all|tenant:[\w.-]{1,128}|(?:specialist|model|action):[a-zA-Z][a-zA-Z0-9_-]{0,63})$/

/** Whether a person may set it as a kill-switch. */
export function isSwitchScope(scope: string): boolean {
  return SWITCH.test(scope)
}

/** What stopped work ends with, and new work is refused with. */
export function stopError({ scope }: Stop): ParleyError {
  return new ParleyError(scope.startsWith('budget:') ? 'budget_exceeded' : 'killed')
}

/** Every scope that would stop it. */
export function scopesOf({ principal, specialist, model, action }: Work): string[] {
  const scopes = ['all']
  if (specialist !== undefined) scopes.push(`specialist:${specialist}`)
  if (model !== undefined) scopes.push(`model:${model}`)
  if (action !== undefined) scopes.push(`action:${action}`)
  if (!principal) return scopes
  const budgets = budgetScopesOf(principal).map((scope) => `budget:${scope}`)
  return [...scopes, `tenant:${principal.tenant}`, ...budgets]
}

/** The budgets that somebody spends from, where they are set. */
export function budgetScopesOf({ tenant, id, groups = [] }: Pick<Principal, 'tenant' | 'id' | 'groups'>): string[] {
  return [`tenant:${tenant}`, `user:${tenant}:${id}`, ...groups.map((group) => `group:${tenant}:${group}`)]
}
