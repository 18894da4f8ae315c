import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { LateWishes } from './late-wishes.ts'
import type { RunStatus } from './port.ts'
import type { RunNews } from './run-news.ts'
import { runOf } from './run-shape.ts'
import { changeRun, type RunChange } from './runs/changes.ts'
import { dueRuns, takeUnsent } from './runs/reads.ts'
import { RESEND_AFTER_MS, type RunRow, UNSENT_AFTER_MS } from './runs/run-row.ts'
import type { RunSeals } from './runs/run-seals.ts'
import type { Sending } from './sending.ts'
import { tryAwaiting } from './user-back.ts'
import type { Withdrawals } from './withdrawals.ts'

export interface RunSweeperOptions {
  sql: Sql
  sending: Sending
  news: RunNews
  seals: RunSeals
  wishes: LateWishes
  withdrawals: Withdrawals
  clock: Clock
  log: Log
  everyMs: number
  /** A worker that is silent for so long is taken for dead. */
  leaseMs: number
}

const AT_ONCE = 100
const UNSENT_AT_ONCE = 500
const RESEND_AT_LEAST_EVERY_MS = 600_000
const TRY_USERS_EVERY_MS = 15_000

/**
 * Looks after runs that are overdue, on every replica; the row's version lets one of them act.
 *
 * queued, retrying ──nobody came──▸ sent for once more, in case a crash came between row and queue; then again, at growing intervals
 * running ──its worker let the lease run out──▸ retrying; unknown, where its effect may have begun and must not be tried twice;
 *   dead-lettered after the last attempt
 * awaiting-identity ──▸ tried again, at growing intervals; expired, or dead-lettered where an earlier attempt may have begun
 * awaiting-approval ──▸ expired
 * settled, and counted ──▸ told of once more
 *
 * While the database is away no worker can say that it is alive, nor what it has done: when it is back, they get a lease's time.
 */
export class RunSweeper {
  readonly #options: RunSweeperOptions
  #triedUsersAtMs = Number.NEGATIVE_INFINITY
  #leasesHoldUntilMs = Number.NEGATIVE_INFINITY
  #stopTimer = () => {}
  #sweeping: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: RunSweeperOptions) {
    this.#options = options
  }

  /** `orphaned`: what is running at this moment is nobody's, and nobody is about to send for what is not begun: all overdue at once. */
  start(orphaned: boolean): void {
    if (!orphaned) return this.#wait()
    const { sql, clock, log } = this.#options
    const recovered = sql.query(
      'system',
      `UPDATE runs SET due_at = $1
       WHERE status = 'running' OR (status = 'queued' AND NOT waiting AND sent_again IS DISTINCT FROM version)`,
      [clock.now()],
    )
    this.#sweeping = recovered
      .then(() => this.#sweep())
      .catch((error) => log.warn({ err: error }, 'Runs of an earlier process could not be looked after'))
      .finally(() => this.#wait())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopTimer()
    await this.#sweeping
  }

  #wait(): void {
    if (this.#stopped) return
    this.#stopTimer = this.#options.clock.after(this.#options.everyMs, () => {
      this.#sweeping = this.#sweep().finally(() => this.#wait())
    })
  }

  async #sweep(): Promise<void> {
    const { sql, clock, log, sending, wishes, withdrawals, leaseMs } = this.#options
    try {
      await wishes.grant().catch((error) => log.warn({ err: error }, 'Who wants to be told later could not be noted'))
      await withdrawals
        .catchUp()
        .catch((error) => log.warn({ err: error }, 'Runs of cancelled turns could not be withdrawn'))
      await sending.look()
      const now = clock.now()
      if (sending.reachable) await this.#sendUnsent(now)
      if (sending.reachable) {
        await this.#tryUsers().catch((error) => log.warn({ err: error }, 'Runs that wait for users could not be tried'))
      }
      let last: RunRow | undefined
      do {
        // What stays due although it was looked after is for the next time, and keeps nobody from those behind it.
        const due = await dueRuns(sql, now, AT_ONCE, this.#passedOver(), last)
        await Promise.all(due.map((row) => this.#look(row)))
        last = due[AT_ONCE - 1]
      } while (last && !this.#stopped)
    } catch (error) {
      if (!sql.reachable) this.#leasesHoldUntilMs = clock.monotonic() + leaseMs
      log.warn({ err: error }, 'Overdue runs could not be looked after')
    }
  }

  /** What it is of no use, or too early, to look after. */
  #passedOver(): RunStatus[] {
    const { sending, clock } = this.#options
    return [
      ...(sending.reachable ? [] : (['queued', 'retrying'] as const)),
      ...(clock.monotonic() < this.#leasesHoldUntilMs ? (['running'] as const) : []),
    ]
  }

  /** Under their own message ids: what the broker has already is not there twice. */
  async #sendUnsent(now: number): Promise<void> {
    const { sql, sending, log } = this.#options
    for (let count = UNSENT_AT_ONCE; count === UNSENT_AT_ONCE && !this.#stopped; ) {
      const unsent = await takeUnsent(sql, now, UNSENT_AT_ONCE)
      count = unsent.length
      if (count === 0) return
      await sending.send(...unsent)
      log.info({ runs: count }, 'Runs that nobody has begun were sent for once more')
    }
  }

  async #tryUsers(): Promise<void> {
    const { clock, log } = this.#options
    if (clock.monotonic() - this.#triedUsersAtMs < TRY_USERS_EVERY_MS) return
    this.#triedUsersAtMs = clock.monotonic()
    const runs = await tryAwaiting(this.#options)
    if (runs > 0) log.info({ runs }, 'Runs whose user could not be had were tried again')
  }

  /** One run that cannot be looked after keeps none of the others. */
  async #look(row: RunRow): Promise<void> {
    try {
      await this.#lookAfter(row)
    } catch (error) {
      this.#options.log.warn({ run: row.id, err: error }, 'An overdue run could not be looked after')
    }
  }

  async #tellAnew(row: RunRow): Promise<void> {
    this.#options.news.rested(row)
    const params = [row.id, row.version]
    await this.#options.sql.query('system', 'UPDATE runs SET due_at = NULL WHERE id = $1 AND version = $2', params)
  }

  async #lookAfter(row: RunRow): Promise<void> {
    const { sql, sending, news, seals, clock, log } = this.#options
    const now = clock.now()
    if (row.settledAt !== null) return await this.#tellAnew(row)
    const change = overdueChange(row, now)
    const done = await changeRun(sql, row, change)
    if (!done) return
    if (row.status === 'running') await closeAttempt(sql, row, now)
    const { id, status, reason } = done.row
    log.info({ run: id, was: row.status, status, reason }, 'An overdue run was looked after')
    if (status === 'queued' || status === 'retrying') await sending.send(done.row)
    else news.changed(done.row, await runOf(done.row, seals), done.row.followUp)
    if (done.next?.status === 'queued') await sending.send(done.next)
  }
}

/** What becomes of an overdue run. */
export function overdueChange(row: RunRow, now: number): RunChange {
  const { status, attempt, maxAttempts, once, began, updatedAt, reason } = row
  if (status === 'awaiting-approval') return { status: 'expired', reason: 'approval_expired', now }
  if (status === 'awaiting-identity') {
    // What is expired counts as never done.
    return { status: began && !once ? 'dead-lettered' : 'expired', reason: 'identity_expired', now }
  }
  if (status === 'running') {
    if (once && began) return { status: 'unknown', reason: 'effect_unknown', now }
    if (attempt >= maxAttempts) return { status: 'dead-lettered', reason: 'worker_lost', now }
    return { status: 'retrying', reason: 'worker_lost', dueAt: now + UNSENT_AFTER_MS, now }
  }
  // A long queue is no reason to fill it with the same again and again.
  const restMs = Math.min(Math.max(RESEND_AFTER_MS, 2 * (now - updatedAt)), RESEND_AT_LEAST_EVERY_MS)
  return { status, reason, dueAt: now + restMs, now }
}

async function closeAttempt(sql: Sql, { id, attempt }: RunRow, now: number): Promise<void> {
  await sql.query(
    'system',
    `UPDATE attempts SET ended_at = $3, outcome = 'lost', reason = 'worker_lost'
     WHERE run = $1 AND number = $2 AND outcome IS NULL`,
    [id, attempt, now],
  )
}
