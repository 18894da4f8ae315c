import { ParleyError } from '#errors.ts'
import type { Owner, Principal } from '#identity/principal.ts'

/** What is not to go on, on any replica: kill-switches, and budgets that are far over. Made by `createStops`. */
export interface Stops {
  list(): readonly Stop[]
  /** What stops this work, if anything does. From memory. */
  found(work: Work): Stop | undefined
  /** The one of this scope. From memory. */
  get(scope: string): Stop | undefined
  /** Since the store was last heard of, ms: what was stopped after that may not be known here. */
  readonly silentMs: number
  /** The last time that it was asked, it was out of reach. */
  readonly isAway: boolean
  /** Asks the store now. Rejects with state_unavailable. */
  look(): Promise<void>
  /** In force on this replica when it resolves, and on every other within half a second. */
  set(stop: Stop): Promise<void>
  /** False when there was none. */
  lift(scope: string): Promise<boolean>
  /** Hears of every change; the result ends it. */
  onChange(listener: () => void): () => void
  close(): void
}

export interface Stop {
  /**
   * `all`, or `tenant:`, `specialist:`, `model:`, `action:` with a name; of a budget, `budget:` with the budget's scope; of what was
   * withdrawn, `key:` with the id of a Parley key; of what is to be looked up again, `secret:` with what names one of its secrets;
   * of whose tokens of before were revoked, `person:` with their pseudonym.
   */
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
  principal?: Spender
  specialist?: string
  model?: string
  action?: string
}

type Spender = Pick<Principal, 'tenant' | 'id' | 'groups' | 'key'>

const SWITCH = /^(?:all|tenant:[\w.-]{1,128}|(?:specialist|model|action):[a-zA-Z][a-zA-Z0-9_-]{0,63})$/

/** Whether a person may set it as a kill-switch. */
export function isSwitchScope(scope: string): boolean {
  return SWITCH.test(scope)
}

/** What stopped work ends with, and new work is refused with. */
export function stopError({ scope }: Stop): ParleyError {
  if (scope.startsWith('key:')) return new ParleyError('unauthenticated', { message: 'The key was revoked.' })
  return new ParleyError(scope.startsWith('budget:') ? 'budget_exceeded' : 'killed')
}

/** Throws killed, budget_exceeded. */
export function refuseStopped(stops: Pick<Stops, 'found'> | undefined, work: Work): void {
  const stop = stops?.found(work)
  if (stop) throw stopError(stop)
}

/** Every scope that would stop it. */
export function scopesOf({ principal, specialist, model, action }: Work): string[] {
  const scopes = ['all']
  if (specialist !== undefined) scopes.push(`specialist:${specialist}`)
  if (model !== undefined) scopes.push(`model:${model}`)
  if (action !== undefined) scopes.push(`action:${action}`)
  if (!principal) return scopes
  if (principal.key) scopes.push(`key:${principal.id}`)
  const budgets = budgetScopesOf(principal).map((scope) => `budget:${scope}`)
  return [...scopes, `tenant:${principal.tenant}`, ...budgets]
}

/** The budgets that somebody spends from, where they are set: of a key its own, and its owner's. */
export function budgetScopesOf({ tenant, id, groups = [], key }: Spender): string[] {
  const ofKey = key ? [keyBudgetScope({ tenant, id }), `user:${tenant}:${key.owner}`] : []
  return [`tenant:${tenant}`, `user:${tenant}:${id}`, ...ofKey, ...groups.map((group) => `group:${tenant}:${group}`)]
}

/** Of the budget that a key was made with. */
export function keyBudgetScope({ tenant, id }: Owner): string {
  return `key:${tenant}:${id}`
}
