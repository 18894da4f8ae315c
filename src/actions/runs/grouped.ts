/**
 * Gathers calls that come close together into one: what comes while `atOnce` groups are under way waits for the next, so a
 * slow database makes larger groups, not a longer queue.
 */
export class Grouped<Item, Result> {
  readonly #work: (items: readonly Item[]) => Promise<readonly Result[]>
  readonly #limits: { atOnce: number; size: number }
  #waiting: { item: Item; promise: PromiseWithResolvers<Result> }[] = []
  #underWay = 0
  #scheduled = false

  /** `work` answers each item of a group in its place. */
  constructor(
    work: (items: readonly Item[]) => Promise<readonly Result[]>,
    limits: { atOnce: number; size: number } = { atOnce: 2, size: 200 },
  ) {
    this.#work = work
    this.#limits = limits
  }

  /** Rejects with what the work of its group rejects with. */
  do(item: Item): Promise<Result> {
    const promise = Promise.withResolvers<Result>()
    this.#waiting.push({ item, promise })
    this.#schedule()
    return promise.promise
  }

  /** After the present work is done, so that what comes together goes together. */
  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0 || this.#underWay >= this.#limits.atOnce) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      void this.#run(this.#waiting.splice(0, this.#limits.size))
      this.#schedule()
    })
  }

  async #run(group: readonly { item: Item; promise: PromiseWithResolvers<Result> }[]): Promise<void> {
    this.#underWay += 1
    try {
      const results = await this.#work(group.map(({ item }) => item))
      for (const [at, { promise }] of group.entries()) promise.resolve(results[at] as Result)
    } catch (error) {
      for (const { promise } of group) promise.reject(error)
    } finally {
      this.#underWay -= 1
      this.#schedule()
    }
  }
}
