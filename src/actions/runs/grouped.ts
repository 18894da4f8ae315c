import { ParleyError } from '#errors.ts'

const AT_ONCE = 2
const GROUP_SIZE = 200
/** Of what items weigh; one that is heavier goes alone. */
const GROUP_BYTES = 4 * 1024 * 1024

/**
 * Gathers calls that come close together into one: what comes while two groups are under way waits for the next, so a
 * slow database makes larger groups, not a longer queue.
 */
export class Grouped<Item, Result> {
  readonly #work: (items: readonly Item[]) => Promise<readonly Result[]>
  readonly #bytesOf: (item: Item) => number
  #waiting: { item: Item; promise: PromiseWithResolvers<Result> }[] = []
  #underWay = 0
  #scheduled = false

  /** `work` answers each item of a group in its place; `bytesOf` says how much of a group an item takes. */
  constructor(work: (items: readonly Item[]) => Promise<readonly Result[]>, bytesOf: (item: Item) => number = () => 0) {
    this.#work = work
    this.#bytesOf = bytesOf
  }

  /** Rejects as the work for it alone does; where the database is away, as its group's does. */
  do(item: Item): Promise<Result> {
    const promise = Promise.withResolvers<Result>()
    this.#waiting.push({ item, promise })
    this.#schedule()
    return promise.promise
  }

  /** After the present work is done, so that what comes together goes together. */
  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0 || this.#underWay >= AT_ONCE) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      void this.#run(this.#take())
      this.#schedule()
    })
  }

  #take(): { item: Item; promise: PromiseWithResolvers<Result> }[] {
    let size = 0
    let bytes = 0
    for (const { item } of this.#waiting) {
      bytes += this.#bytesOf(item)
      if (size > 0 && (size === GROUP_SIZE || bytes > GROUP_BYTES)) break
      size += 1
    }
    return this.#waiting.splice(0, size)
  }

  async #run(group: readonly { item: Item; promise: PromiseWithResolvers<Result> }[]): Promise<void> {
    this.#underWay += 1
    try {
      const results = await this.#work(group.map(({ item }) => item))
      for (const [at, { promise }] of group.entries()) promise.resolve(results[at] as Result)
    } catch (error) {
      if (group.length === 1 || isAway(error)) for (const { promise } of group) promise.reject(error)
      else await this.#runEach(group)
    } finally {
      this.#underWay -= 1
      this.#schedule()
    }
  }

  /** One that the database does not take fails none of the others. */
  async #runEach(group: readonly { item: Item; promise: PromiseWithResolvers<Result> }[]): Promise<void> {
    for (const { item, promise } of group) {
      try {
        promise.resolve((await this.#work([item]))[0] as Result)
      } catch (error) {
        promise.reject(error)
      }
    }
  }
}

function isAway(error: unknown): boolean {
  return error instanceof ParleyError && error.retryable
}
