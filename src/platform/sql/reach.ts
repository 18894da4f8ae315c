import type { Log } from '#log.ts'
import type { Clock } from '../clock.ts'

export interface ReachOptions {
  /** Resolves once the database serves. */
  probe: () => Promise<void>
  onLost: () => void
  /** Rests between two probes: from a quarter of it at first. */
  retryMs: number
  reachable: boolean
  clock: Clock
  log: Log
}

/** Whether the database can be reached, and the search for it while it cannot. */
export class Reach {
  readonly #options: ReachOptions
  #reachable: boolean
  #probing = false
  #cancel: (() => void) | undefined
  #closed = false

  constructor(options: ReachOptions) {
    this.#options = options
    this.#reachable = options.reachable
  }

  get reachable(): boolean {
    return this.#reachable
  }

  found(): void {
    if (!this.#reachable) this.#options.log.info('The database is within reach')
    this.#reachable = true
  }

  /** Refused or silent: calls need not try before a probe has succeeded. */
  lost(error: unknown): void {
    this.#miss(error)
    this.#search(0)
  }

  /** A connection broke, which need not mean anything. */
  suspect(): void {
    if (this.#reachable) this.#search(0)
  }

  /** No waiting mends it. */
  giveUp(error: unknown): void {
    this.close()
    this.#reachable = false
    this.#options.log.error({ err: error }, 'The database cannot be used')
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
  }

  #search(failures: number): void {
    if (this.#probing || this.#closed) return
    this.#probing = true
    const { clock, retryMs } = this.#options
    const restMs = failures === 0 ? 0 : Math.min(retryMs, (retryMs / 8) * 2 ** failures) * (0.5 + Math.random() / 2)
    this.#cancel = clock.after(restMs, () => {
      void this.#probe().then((found) => {
        this.#probing = false
        if (found) this.found()
        else this.#search(failures + 1)
      })
    })
  }

  async #probe(): Promise<boolean> {
    try {
      await this.#options.probe()
      return true
    } catch (error) {
      if (!this.#closed) this.#miss(error)
      return false
    }
  }

  #miss(error: unknown): void {
    const { onLost, log } = this.#options
    if (this.#reachable) log.warn({ err: error }, 'The database is out of reach')
    this.#reachable = false
    onLost()
  }
}
