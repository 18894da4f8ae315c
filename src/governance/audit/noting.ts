import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Written } from './chain.ts'

export interface NotingOptions {
  /** All of one tenant; again, it keeps them once. */
  keep(tenant: string, entries: readonly Written[]): Promise<void>
  clock: Clock
  log: Log
}

const AT_ONCE = 200
const RETRY_MS = 1000
/** Entries that wait while the database is away. */
export const MOST_NOTED = 10_000

/** Keeps what was noted, in order; what the database does not take for now waits, up to a bound. */
export class Noting {
  readonly #options: NotingOptions
  #waiting: Written[] = []
  #keeping: Promise<void> | undefined
  #cancelRetry: () => void = () => {}
  #closed = false

  constructor(options: NotingOptions) {
    this.#options = options
  }

  /** False when too much waits already, or it is closed. */
  note(entry: Written): boolean {
    if (this.#closed) {
      this.#options.log.error({ kind: entry.kind, id: entry.id }, 'An entry came after the audit log was closed')
      return false
    }
    if (this.#waiting.length >= MOST_NOTED) {
      this.#options.log.error(
        { kind: entry.kind, id: entry.id },
        'Too much waits for the audit log; an entry is refused',
      )
      return false
    }
    this.#waiting.push(entry)
    if (this.#waiting.length === 1) this.#start()
    return true
  }

  async close(): Promise<void> {
    this.#cancelRetry()
    await this.#keeping
    this.#cancelRetry()
    await this.#keepWaiting()
    // What came in the meantime.
    await this.#keeping
    this.#cancelRetry()
    this.#closed = true
    if (this.#waiting.length > 0) {
      this.#options.log.error({ entries: this.#waiting.length }, 'The audit log was away; what was noted last is lost')
    }
  }

  #start(): void {
    this.#keeping = this.#keepWaiting().finally(() => {
      this.#keeping = undefined
      if (this.#waiting.length > 0) this.#cancelRetry = this.#options.clock.after(RETRY_MS, () => this.#start())
    })
  }

  /** Until none waits, or the database is away. Never rejects. */
  async #keepWaiting(): Promise<void> {
    for (;;) {
      const [first] = this.#waiting
      if (!first) return
      const group = this.#waiting.slice(0, AT_ONCE).filter(({ tenant }) => tenant === first.tenant)
      if (!(await this.#keep(first.tenant, group))) return
      const kept = new Set(group)
      this.#waiting = this.#waiting.filter((entry) => !kept.has(entry))
    }
  }

  /** False while the database is away. */
  async #keep(tenant: string, group: readonly Written[]): Promise<boolean> {
    const { keep, log } = this.#options
    try {
      await keep(tenant, group)
      return true
    } catch (error) {
      if (error instanceof ParleyError && error.retryable) return false
      const [only, ...more] = group
      if (only && more.length === 0) {
        log.error({ kind: only.kind, id: only.id, err: error }, 'The audit log does not take an entry')
        return true
      }
      for (const entry of group) if (!(await this.#keep(tenant, [entry]))) return false
      return true
    }
  }
}
