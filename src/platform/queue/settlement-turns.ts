interface Settlement {
  /** Those of one kind are alike, and leave together. */
  kind: string
  begin: () => void
}

/**
 * The AMQP library writes settlements that follow each other within one tick as one, with the outcome of the first, even
 * where they differ: a dead letter right after a completion would be completed. So only what is alike shares a tick.
 */
export class SettlementTurns {
  readonly #waiting: Settlement[] = []
  #kind: string | undefined

  /** Begins `work`, which settles before it first waits, in a tick of its kind. */
  run<Result>(kind: string, work: () => Promise<Result>): Promise<Result> {
    if (this.#kind === undefined) this.#open(kind)
    if (this.#waiting.length === 0 && this.#kind === kind) return work()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ kind, begin: () => work().then(resolve, reject) })
    })
  }

  #open(kind: string): void {
    this.#kind = kind
    setImmediate(() => this.#next())
  }

  #next(): void {
    this.#kind = undefined
    const [first] = this.#waiting
    if (!first) return
    this.#open(first.kind)
    const other = this.#waiting.findIndex(({ kind }) => kind !== first.kind)
    for (const { begin } of this.#waiting.splice(0, other < 0 ? this.#waiting.length : other)) begin()
  }
}
