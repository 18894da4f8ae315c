import { randomUUID } from 'node:crypto'
import { ParleyError } from '#errors.ts'
import type { Served } from '#events/events.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { type Arg, type Key, type Kv, key } from '#platform/kv/kv.ts'
import type { Budget } from '../budgets.ts'
import type { Ledger } from '../ledger.ts'
import { renew } from '../limits/give-back.ts'
import { partitionOfTenant } from '../limits/keys.ts'
import { begin, readCounter, reserve, type Settled, settle } from './counters.ts'
import { toMicro } from './micro.ts'
import { effectiveLimit, periodOf } from './period.ts'
import { spenderOf, tenantOf } from './scope.ts'

export interface TillOptions {
  kv: Kv
  clock: Clock
  log: Log
  spent: Ledger['spent']
  /** The same budget by its terms of now. */
  present(budget: Budget): Budget
  /** Hears of each settlement, budget by budget. */
  onSettled(budget: Budget, settled: Settled, served: Served | undefined): void
}

interface Receipt {
  id: string
  micro: number
  budgets: readonly Budget[]
  /** Where something was spent. */
  served: Served | undefined
}

/** What a producer that died had reserved comes free after so long. */
const LEASE_MS = 30_000
const TICK_MS = 5000
/** Settlements that wait for a store that is away; what is beyond, the ledger tells when the counters begin anew. */
const WAITING_AT_MOST = 20_000

/** Counters of what is spent, for all replicas; the ledger is the truth, and tells them where to begin. */
export class Till {
  readonly #options: TillOptions
  readonly #held = new Map<Key, Set<string>>()
  readonly #waiting: Receipt[] = []
  readonly #beginning = new Map<string, Promise<void>>()
  #cancelNext: () => void

  constructor(options: TillOptions) {
    this.#options = options
    this.#cancelNext = options.clock.after(TICK_MS, () => this.#tick())
  }

  /** Takes from all, or from none. Rejects with budget_exceeded, state_unavailable, database_unavailable. */
  async reserve(budgets: readonly Budget[], usd: number): Promise<string> {
    const id = randomUUID()
    const keys = budgets.flatMap(keysOf)
    for (let tries = 0; tries <= budgets.length; tries++) {
      const args = [id, toMicro(usd), LEASE_MS, ...this.#termsOf(budgets)]
      const result = await this.#options.kv.run(reserve, keys, args)
      if (result.kind === 'reserved') {
        if (usd > 0) for (const budget of budgets) this.#heldBy(budget).add(id)
        return id
      }
      if (result.kind === 'exceeded') throw new ParleyError('budget_exceeded')
      const unknown = budgets[result.at]
      if (unknown) await this.#begin(unknown)
    }
    throw new ParleyError('state_unavailable')
  }

  /** Told until the store has it; counted by the terms of then. What another period had reserved for it lapses. */
  settle(budgets: readonly Budget[], id: string, usd: number, served?: Served): void {
    for (const budget of budgets) this.#heldBy(budget).delete(id)
    void this.#tell({ id, micro: toMicro(usd), budgets, served })
  }

  async read(budget: Budget): Promise<{ spent: number; reserved: number }> {
    const at = keysOf(budget)[0]
    const start = periodOf(budget, this.#options.clock.now()).start
    const found = await this.#options.kv.run(readCounter, [at], [start])
    if (found) return found
    await this.#begin(budget)
    return (await this.#options.kv.run(readCounter, [at], [start])) ?? { spent: 0, reserved: 0 }
  }

  /** What was counted of one that is none any more is not gone on with: its next call begins with what the ledger says. */
  async forget(budget: Pick<Budget, 'scope' | 'period'>): Promise<void> {
    await this.#options.kv.delete(keysOf(budget)[0])
  }

  close(): void {
    this.#cancelNext()
  }

  async #tell(receipt: Receipt): Promise<void> {
    const { kv, log, present, onSettled } = this.#options
    const { id, micro, served } = receipt
    const budgets = receipt.budgets.map(present)
    const [first] = budgets
    if (!first) return
    try {
      const marker = key(partitionOfTenant(tenantOf(first.scope)), `settled:${id}`)
      const args = [id, micro, ...this.#termsOf(budgets)]
      const settled = await kv.run(settle, [marker, ...budgets.flatMap(keysOf)], args)
      for (const [at, one] of settled.entries()) if (budgets[at]) onSettled(budgets[at], one, served)
    } catch (error) {
      if (this.#waiting.length < WAITING_AT_MOST) this.#waiting.push(receipt)
      log.warn({ err: error, waiting: this.#waiting.length }, 'What was spent could not be counted; it waits')
    }
  }

  /** One at a time for each budget; until then nobody spends from it. */
  #begin(budget: Budget): Promise<void> {
    const { kv, clock, spent } = this.#options
    return this.#beginning.getOrInsertComputed(budget.scope, async () => {
      try {
        const { start } = periodOf(budget, clock.now())
        const { tenant, whose } = spenderOf(budget.scope)
        await kv.run(begin, [keysOf(budget)[0]], [start, toMicro(await spent(tenant, whose, start))])
      } finally {
        this.#beginning.delete(budget.scope)
      }
    })
  }

  #termsOf(budgets: readonly Budget[]): Arg[] {
    const now = this.#options.clock.now()
    return budgets.flatMap((budget) => [periodOf(budget, now).start, toMicro(effectiveLimit(budget, now))])
  }

  #heldBy(budget: Budget): Set<string> {
    return this.#held.getOrInsertComputed(keysOf(budget)[1], () => new Set())
  }

  #tick(): void {
    const { kv, clock } = this.#options
    for (const [held, ids] of this.#held) {
      if (ids.size === 0) this.#held.delete(held)
      else kv.run(renew, [held], [LEASE_MS, ...ids]).catch(() => {})
    }
    if (kv.reachable) for (const receipt of this.#waiting.splice(0)) void this.#tell(receipt)
    this.#cancelNext = clock.after(TICK_MS, () => this.#tick())
  }
}

/** Of a tenant all in one partition: a call may be paid from several. Days and months are counted apart. */
function keysOf({ scope, period }: Pick<Budget, 'scope' | 'period'>): [record: Key, held: Key] {
  const partition = partitionOfTenant(tenantOf(scope))
  const by = period === 'day' ? 'day-budget' : 'budget'
  return [key(partition, `${by}:${scope}`), key(partition, `${by}-held:${scope}`)]
}
