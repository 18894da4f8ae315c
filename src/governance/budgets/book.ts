import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Budget } from '../budgets.ts'
import { budgetScopesOf, keyBudgetScope } from '../stops.ts'
import type { KeptBudgets } from './kept.ts'

export interface BookOptions {
  kept: Pick<KeptBudgets, 'all'>
  clock: Clock
  log: Log
  /** There may be some already; else the database is left alone until the first is set. */
  awake: boolean
  /** No other process sets any. */
  alone: boolean
}

const LOOK_EVERY_MS = 2000

/** The budgets that are set, in memory: read at the start, and every 2 s where other replicas may set them. */
export class BudgetBook {
  readonly #options: BookOptions
  #budgets: ReadonlyMap<string, Budget> | undefined
  #looking: Promise<void> | undefined
  #looks = 0
  #lastSeen = 0
  #cancelNext = () => {}
  #closed = false

  constructor(options: BookOptions) {
    this.#options = options
    if (options.awake) void this.#keepLooking()
    else this.#budgets = new Map()
  }

  /** Of whom it is not known whether they have one, nobody spends. Rejects with database_unavailable. */
  async ready(): Promise<void> {
    if (this.#budgets) return
    await this.#looking
    if (!this.#budgets) throw new ParleyError('database_unavailable')
  }

  /** All that somebody's answers are paid from. What a key may spend comes with it, and so counts from its first call on. */
  of(principal: Principal): readonly Budget[] {
    const own = budgetOfKey(principal)
    const budgets = this.#budgets
    if (!budgets || budgets.size === 0) return own
    return [...own, ...budgetScopesOf(principal).flatMap((scope) => budgets.get(scope) ?? [])]
  }

  get(scope: string): Budget | undefined {
    return this.#budgets?.get(scope)
  }

  /** Those of a tenant that have one. */
  groups(tenant: string): string[] {
    const prefix = `group:${tenant}:`
    return [...(this.#budgets?.keys() ?? [])]
      .filter((scope) => scope.startsWith(prefix))
      .map((scope) => scope.slice(prefix.length))
  }

  all(): Budget[] {
    return [...(this.#budgets?.values() ?? [])]
  }

  /** Rejects with database_unavailable. */
  async look(): Promise<void> {
    this.#looks += 1
    const number = this.#looks
    const budgets = await this.#options.kept.all()
    // Over another connection, what was read before a budget was set may come after what was read then.
    if (number < this.#lastSeen) return
    this.#lastSeen = number
    this.#budgets = new Map(budgets.map((budget) => [budget.scope, budget]))
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelNext()
    await this.#looking
  }

  async #keepLooking(): Promise<void> {
    const { alone, clock, log } = this.#options
    this.#looking = this.look().catch((error) => {
      log.debug({ err: error }, 'Budgets could not be read; those that are known stay in force')
    })
    await this.#looking
    if (this.#closed || (alone && this.#budgets)) return
    this.#cancelNext = clock.after(LOOK_EVERY_MS, () => void this.#keepLooking())
  }
}

function budgetOfKey({ tenant, id, key }: Principal): readonly Budget[] {
  return key?.budget ? [{ scope: keyBudgetScope({ tenant, id }), ...key.budget, override: null, version: 0 }] : []
}
