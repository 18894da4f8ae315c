import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { VersionLooks } from './looks.ts'

/** With a file's second look, and the time to load it, a new version is known within 5 s. */
export const pollMs = 2000
/** What else there is to do gets its turn. */
const behindMs = 100

/** Looks every two seconds, and says once that it cannot. */
export class VersionWatch {
  readonly #looks: VersionLooks
  readonly #clock: Clock
  readonly #log: Log
  #last: Promise<unknown> = Promise.resolve()
  /** Asked for, and not begun. */
  #next: Promise<unknown> | undefined
  #isFine = true
  #isClosed = false
  #stopPolling = () => {}

  constructor({ looks, clock, log }: { looks: VersionLooks; clock: Clock; log: Log }) {
    this.#looks = looks
    this.#clock = clock
    this.#log = log
  }

  /** One after the other: a look that does not see what is being pushed would take it for gone. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => {})
    return result
  }

  /** What kept it from looking, if anything. */
  look(isFirst: boolean): Promise<unknown> {
    return this.inTurn(() => this.#look(isFirst))
  }

  /** After what is under way, and once for all that ask until it begins: a container that fills is told of blob by blob. */
  refresh(): Promise<unknown> {
    this.#next ??= this.inTurn(() => {
      this.#next = undefined
      return this.#look(false)
    })
    return this.#next
  }

  begin(): void {
    if (this.#isClosed) return
    // Replicas that start together do not look together.
    const waitMs = this.#looks.isBehind ? behindMs : pollMs * (0.8 + 0.2 * Math.random())
    this.#stopPolling = this.#clock.after(waitMs, () => void this.look(false).then(() => this.begin()))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopPolling()
    await this.#last
  }

  async #look(isFirst: boolean): Promise<unknown> {
    if (this.#isClosed) return undefined
    try {
      await this.#looks.look(isFirst)
      if (!this.#isFine) this.#log.info('Config versions can be looked for again')
      this.#isFine = true
      return undefined
    } catch (error) {
      if (this.#isFine && !this.#isClosed) this.#log.error({ err: error }, 'Looking for config versions failed')
      this.#isFine = false
      return error
    }
  }
}
