import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Bill } from './bill.ts'
import type { LedgerStore } from './store.ts'

export interface WritingOptions {
  store: Pick<LedgerStore, 'keep'>
  clock: Clock
  log: Log
}

interface Waiting {
  /** Written as one, under the name of the first. */
  bills: [Bill, ...Bill[]]
  /** Who tells it again where it is not kept; absent where nobody does. */
  teller?: PromiseWithResolvers<void>
}

/** What comes within this leaves in one statement: a turn has ended by then, so nobody waits for it. */
const EVERY_MS = 100
const RETRY_MS = 1000
const AT_ONCE = 500
/** Of those that nobody tells again: they need no record each, since what is written again is what was written before. */
const MOST_TOGETHER = 100
/** Who tells again is not kept waiting by a store that neither takes nor refuses. */
const ANSWER_WITHIN_MS = 15_000
const DAY_MS = 86_400_000
/** Bills that nobody tells again, while the database is away. */
export const MOST_RETAINED = 10_000

/**
 * Takes bills to the store, many at a time, one write after the other. With the store away, who tells again is refused and does
 * so later; what nobody tells again is retained and retried, up to a bound.
 */
export class Writing {
  readonly #options: WritingOptions
  #waiting: Waiting[] = []
  /** By tenant and day, of what was retained and not tried yet: more can be written with it. */
  readonly #open = new Map<string, Waiting>()
  #cancelNext: (() => void) | undefined
  #writing: Promise<void> = Promise.resolve()
  #lost = 0
  #hurries = false
  #closed = false

  constructor(options: WritingOptions) {
    this.#options = options
  }

  /** Resolves once it is kept, and rejects where it is not, or not soon enough: told again, it is kept once. */
  keep(bill: Bill): Promise<void> {
    if (this.#closed) return Promise.reject(new ParleyError('shutting_down'))
    const teller = Promise.withResolvers<void>()
    const waiting: Waiting = { bills: [bill], teller }
    const cancelLimit = this.#options.clock.after(ANSWER_WITHIN_MS, () => {
      this.#waiting = this.#waiting.filter((one) => one !== waiting)
      teller.reject(new ParleyError('database_unavailable'))
    })
    this.#add(waiting)
    return teller.promise.finally(cancelLimit)
  }

  /** Of what is told once. */
  retain(bill: Bill): void {
    if (this.#closed)
      return this.#options.log.error({ turn: bill.turn }, 'What a turn cost came after the ledger was closed')
    const open = this.#open.get(bill.tenant)
    if (open && open.bills.length < MOST_TOGETHER && dayOf(open.bills[0]) === dayOf(bill)) {
      open.bills.push(bill)
      return
    }
    const waiting: Waiting = { bills: [bill] }
    this.#open.set(bill.tenant, waiting)
    this.#add(waiting)
  }

  /** From now on nothing waits for company: the process is about to end. */
  hurry(): void {
    this.#hurries = true
    if (this.#waiting.length > 0) this.#schedule(0)
  }

  async close(): Promise<void> {
    this.#cancelNext?.()
    await this.#writing
    while (this.#waiting.length > 0 && (await this.#write())) {}
    this.#closed = true
    this.#cancelNext?.()
    const lost = this.#lost + sizeOf(this.#waiting)
    if (lost > 0) this.#options.log.error({ bills: lost }, 'What some relayed requests cost is lost to the ledger')
  }

  #add(waiting: Waiting): void {
    this.#waiting.push(waiting)
    if (this.#waiting.length === 1) this.#schedule(EVERY_MS)
  }

  #schedule(delayMs: number): void {
    this.#cancelNext?.()
    if (this.#hurries && delayMs < RETRY_MS) return this.#begin()
    this.#cancelNext = this.#options.clock.after(delayMs, () => this.#begin())
  }

  #begin(): void {
    this.#cancelNext = undefined
    this.#writing = this.#writing
      .then(() => this.#write())
      .then((isKept) => {
        if (this.#waiting.length > 0) this.#schedule(isKept ? 0 : RETRY_MS)
      })
  }

  /** False while the store is away. Never rejects. */
  async #write(): Promise<boolean> {
    const group = this.#waiting.splice(0, AT_ONCE)
    this.#open.clear()
    try {
      await this.#options.store.keep(group.map(joined))
      for (const { teller } of group) teller?.resolve()
      return true
    } catch (error) {
      if (isAway(error)) {
        this.#putBack(group, error)
        return false
      }
      for (const { bills, teller } of group) {
        for (const bill of bills) await this.#writeAlone({ bills: [bill], ...(teller && { teller }) })
      }
      return true
    }
  }

  /** One that the store does not take fails none of the others. */
  async #writeAlone(waiting: Waiting): Promise<void> {
    const [bill] = waiting.bills
    try {
      await this.#options.store.keep([bill])
      waiting.teller?.resolve()
    } catch (error) {
      if (isAway(error)) return this.#putBack([waiting], error)
      this.#options.log.error({ turn: bill.turn, err: error }, 'The ledger does not take what a turn cost')
      waiting.teller?.reject(error)
    }
  }

  #putBack(group: readonly Waiting[], error: unknown): void {
    for (const { teller } of group) teller?.reject(error)
    const retained = group.filter(({ teller }) => teller === undefined)
    this.#waiting.unshift(...retained)
    let tooMany = sizeOf(this.#waiting.filter(({ teller }) => teller === undefined)) - MOST_RETAINED
    if (tooMany <= 0) return
    const isFirst = this.#lost === 0
    this.#waiting = this.#waiting.filter(({ bills, teller }) => {
      if (teller || tooMany <= 0) return true
      tooMany -= bills.length
      this.#lost += bills.length
      return false
    })
    if (isFirst) this.#options.log.error('The ledger is away for too long; what relayed requests cost is being lost')
  }
}

function joined({ bills }: Waiting): Bill {
  const [first, ...others] = bills
  return others.length === 0 ? first : { ...first, entries: bills.flatMap(({ entries }) => entries) }
}

/** What is written together is of one month. */
function dayOf({ entries: [first] }: Bill): number {
  return Math.floor((first?.at ?? 0) / DAY_MS)
}

function sizeOf(waiting: readonly Waiting[]): number {
  return waiting.reduce((size, { bills }) => size + bills.length, 0)
}

function isAway(error: unknown): boolean {
  return error instanceof ParleyError && error.retryable
}
