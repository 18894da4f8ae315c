import { ParleyError } from '#errors.ts'
import type { Clock } from '#platform/clock.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { isAway } from './backlog.ts'
import { isSettled, type Patience, type Run } from './port.ts'
import type { RunNews } from './run-news.ts'
import { runOf } from './run-shape.ts'
import { Grouped } from './runs/grouped.ts'
import { readRuns } from './runs/reads.ts'
import type { RunRow } from './runs/run-row.ts'
import type { RunSeals } from './runs/run-seals.ts'

export interface WaitingOptions {
  sql: Sql
  seals: RunSeals
  news: RunNews
  clock: Clock
}

/** Between two looks at the row, if no news comes. */
const POLL_MS = 1000
/** The first look is early, in case the news came before there was anybody to hear it. */
const FIRST_POLL_MS = 50

/** Waits for runs: for news of them, and for their rows, many of which are read at once. */
export class Waiting {
  readonly #options: WaitingOptions
  readonly #reads: Grouped<string, RunRow | undefined>

  constructor(options: WaitingOptions) {
    this.#options = options
    this.#reads = new Grouped(async (ids) => {
      const rows = new Map((await readRuns(options.sql, [...new Set(ids)])).map((row) => [row.id, row]))
      return ids.map((id) => rows.get(id))
    })
  }

  /** The run as its row has it. Rejects with run_not_found. */
  async look(id: string): Promise<Run> {
    const row = await this.#reads.do(id)
    if (!row) throw new ParleyError('run_not_found')
    return runOf(row, this.#options.seals)
  }

  /**
   * Resolves with the settled run, or as it stands when patience ends. Rejects with the signal's reason. The database being away
   * is waited out.
   */
  async settled(
    known: Run,
    { mostMs, identityMs = mostMs }: Patience,
    signal: AbortSignal,
    onChange: (run: Run) => void,
  ): Promise<Run> {
    const { clock, news } = this.#options
    signal.throwIfAborted()
    const end = Promise.withResolvers<Run>()
    let latest = known
    let looking = false
    let stopMissing = () => {}
    const missUser = ({ status }: Run) => {
      stopMissing()
      stopMissing = status === 'awaiting-identity' ? clock.after(identityMs, () => end.resolve(latest)) : () => {}
    }
    const hear = (run: Run) => {
      if (isSettled(run)) return end.resolve(run)
      if (run.status === latest.status) return
      latest = run
      missUser(run)
      try {
        onChange(run)
      } catch (error) {
        end.reject(error)
      }
    }
    const look = async () => {
      if (looking) return
      looking = true
      try {
        hear(await this.look(known.id))
      } catch (error) {
        if (!isAway(error)) end.reject(error)
      } finally {
        looking = false
      }
    }
    const onAbort = () => end.reject(signal.reason)
    const stops = [
      news.onChange(known.id, (run) => (run ? hear(run) : void look())),
      clock.after(mostMs, () => end.resolve(latest)),
      () => stopMissing(),
      repeat(clock, POLL_MS, look),
      () => signal.removeEventListener('abort', onAbort),
    ]
    signal.addEventListener('abort', onAbort, { once: true })
    missUser(known)
    try {
      return await end.promise
    } finally {
      for (const stop of stops) stop()
    }
  }
}

function repeat(clock: Clock, everyMs: number, task: () => Promise<void>): () => void {
  let stop = clock.after(FIRST_POLL_MS, again)
  function again(): void {
    void task()
    stop = clock.after(everyMs, again)
  }
  return () => stop()
}
