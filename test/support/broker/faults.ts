/** What goes wrong at the moment, as the tests want it. */
export interface Faults {
  /** Condition with which sends are refused, e.g. `com.microsoft:server-busy`. */
  refuseSends: string | undefined
  /** Condition with which links are refused. */
  refuseLinks: string | undefined
  /** The one key of the namespace, as a connection string names it; undefined: any is taken. */
  onlyKey: string | undefined
  /** Every answer comes so much later, ms. */
  slowMs: number
  /** Consumers that were attached before this are forgotten: their links stay open, and nothing comes. */
  deafBefore: number
  /** Sends are taken and kept, and never acknowledged. */
  swallowAcknowledgements: boolean
}

export function noFaults(): Faults {
  return {
    ...{ refuseSends: undefined, refuseLinks: undefined, onlyKey: undefined },
    ...{ slowMs: 0, deafBefore: 0, swallowAcknowledgements: false },
  }
}

/** Answers that are on their way, late ones included. */
export class Answers {
  readonly #faults: Faults
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(faults: Faults) {
    this.#faults = faults
  }

  send(answer: () => void): void {
    if (this.#faults.slowMs === 0) return answer()
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      answer()
    }, this.#faults.slowMs)
    this.#timers.add(timer)
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }
}
