import { ParleyError } from '#errors.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Queue, QueueMessage } from '#platform/queue/queue.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { countWaiting } from './runs/reads.ts'
import { RESEND_AFTER_MS, type RunRow, UNSENT_AFTER_MS } from './runs/run-row.ts'

const COUNT_EVERY_MS = 1000
/** As many as its column counts. */
const MAX_ATTEMPT = 2_147_483_647

/** What a message says of its run. */
export type Sent = Pick<RunRow, 'id' | 'attempt' | 'version' | 'traceparent'>

export interface SendingOptions {
  queue: Queue
  sql: Sql
  clock: Clock
  log: Log
  /** So many runs may wait to be executed; more are refused. */
  maxWaiting: number
}

/**
 * Wakes workers for runs whose rows say that they are to be executed. What cannot be sent is not lost: its row is overdue
 * sooner or later, and at once when the broker is back.
 */
export class Sending {
  readonly #options: SendingOptions
  #awaySinceMs: number | undefined
  #waiting = 0
  #countedAtMs = Number.NEGATIVE_INFINITY

  constructor(options: SendingOptions) {
    this.#options = options
  }

  /** Throws runs_full. Known about a second late, which is what keeping count costs nothing for. */
  admit(): void {
    const { sql, clock, log, maxWaiting } = this.#options
    const now = clock.monotonic()
    if (now - this.#countedAtMs > COUNT_EVERY_MS) {
      this.#countedAtMs = now
      countWaiting(sql, maxWaiting).then(
        (waiting) => {
          this.#waiting = waiting
        },
        (error) => log.warn({ err: error }, 'Waiting runs could not be counted'),
      )
    }
    if (this.#waiting >= maxWaiting) throw new ParleyError('runs_full', { retryAfterMs: COUNT_EVERY_MS })
  }

  /** Whether there is any use in sending. */
  get reachable(): boolean {
    return this.#options.queue.reachable
  }

  /** Never rejects. */
  async send(...rows: readonly Sent[]): Promise<void> {
    try {
      await this.#options.queue.send(rows.map(messageOf))
      if (this.#awaySinceMs !== undefined) await this.#back()
    } catch (error) {
      for (const row of rows) this.#failed(row, error)
    }
  }

  /** Wakes a worker no earlier than `at`, ms since the epoch. Never rejects. */
  async schedule(row: Sent, at: number): Promise<void> {
    try {
      await this.#options.queue.schedule([messageOf(row)], at)
    } catch (error) {
      this.#failed(row, error)
    }
  }

  /** Looks whether the broker is back; for whoever comes by every so often. */
  async look(): Promise<void> {
    if (this.#awaySinceMs !== undefined && this.#options.queue.reachable) await this.#back()
  }

  #failed(row: Sent, err: unknown): void {
    this.#awaySinceMs ??= this.#options.clock.now()
    this.#options.log.warn({ run: row.id, err }, 'A run could not be sent for; it is kept')
  }

  /** What could not be sent meanwhile is due now; what its target asked to wait for, no sooner than that. */
  async #back(): Promise<void> {
    const since = this.#awaySinceMs
    this.#awaySinceMs = undefined
    if (since === undefined) return
    try {
      await this.#options.sql.query(
        'system',
        `UPDATE runs SET due_at = CASE WHEN status = 'retrying' THEN greatest($1, due_at - ${UNSENT_AFTER_MS}) ELSE $1 END
         WHERE status IN ('queued', 'retrying') AND NOT waiting AND due_at > $1 AND updated_at >= $2`,
        [this.#options.clock.now(), since - RESEND_AFTER_MS],
      )
    } catch {
      this.#awaySinceMs = since
    }
  }
}

/** Run, the attempts made so far, trace: never arguments or identity. Each change of the row has an id of its own. */
function messageOf({ id, attempt, version, traceparent }: Sent): QueueMessage {
  return {
    id: `${id}:${attempt}:${version}`,
    body: JSON.stringify({ run: id, attempt }),
    ...(traceparent !== null && { traceparent }),
  }
}

/** `attempt`: how many were made when it was sent. */
export interface RunMessage {
  run: string
  attempt: number
}

/** What a message says, or undefined when it is none of ours. */
export function readMessage(body: string): RunMessage | undefined {
  try {
    const { run, attempt }: { run?: unknown; attempt?: unknown } = JSON.parse(body)
    if (typeof run !== 'string' || !/^run_[0-9a-f]{32}$/.test(run)) return undefined
    const isAttempt = typeof attempt === 'number' && Number.isInteger(attempt) && attempt >= 0 && attempt <= MAX_ATTEMPT
    return isAttempt ? { run, attempt } : undefined
  } catch {
    return undefined
  }
}
