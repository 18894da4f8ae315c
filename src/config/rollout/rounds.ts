import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'

export interface RoundsOptions<Task extends string> {
  clock: Clock
  log: Log
  everyMs: number
  tasks: Readonly<Record<Task | 'round', () => Promise<void>>>
}

/** Asked for again within this, a task waits so long: many turns that fail at once are judged together. */
const TOGETHER_MS = 100

/** Does one thing after another: a round every so often, what is asked for soon, and what others hand in. */
export class Rounds<Task extends string = 'judge'> {
  readonly #options: RoundsOptions<Task>
  readonly #asked = new Map<Task | 'round', () => void>()
  #last: Promise<unknown> = Promise.resolve()
  #stopTimer: () => void = () => {}
  #isClosed = false

  constructor(options: RoundsOptions<Task>) {
    this.#options = options
  }

  begin(): void {
    this.#plan()
  }

  /** Rejects as the work does. */
  inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }

  soon(task: Task | 'round'): void {
    if (this.#isClosed || this.#asked.has(task)) return
    const run = () => {
      this.#asked.delete(task)
      void this.#run(task)
    }
    this.#asked.set(task, this.#options.clock.after(TOGETHER_MS, run))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopTimer()
    for (const stop of this.#asked.values()) stop()
    await this.#last
  }

  #plan(): void {
    if (this.#isClosed) return
    this.#stopTimer = this.#options.clock.after(this.#options.everyMs, () => {
      void this.#run('round').then(() => this.#plan())
    })
  }

  async #run(task: Task | 'round'): Promise<void> {
    if (this.#isClosed) return
    await this.inTurn(this.#options.tasks[task]).catch((error: unknown) =>
      this.#options.log.error({ err: error, task }, 'A round of the rollout failed'),
    )
  }
}
