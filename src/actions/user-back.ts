import { ParleyError } from '#errors.ts'
import type { Owner } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { RunNews } from './run-news.ts'
import { runOf } from './run-shape.ts'
import { changeRun } from './runs/changes.ts'
import { RUN_COLUMNS, type RunRow, UNSENT_AFTER_MS } from './runs/run-row.ts'
import type { RunSeals } from './runs/run-seals.ts'
import type { Sending } from './sending.ts'

interface Options {
  sql: Sql
  seals: RunSeals
  sending: Sending
  news: RunNews
  clock: Clock
  log: Log
}

/** More are left to the sweeper. */
const AT_ONCE = 1000
const TRIED_AT_ONCE = 100
/** Between two tries as long as it has waited already, within these. */
const TRY_AFTER = { leastMs: 60_000, mostMs: 30 * 60_000 }

const OF_USER = `
  SELECT ${RUN_COLUMNS} FROM runs r WHERE r.owner = $1 AND r.status = 'awaiting-identity' ORDER BY r.seq LIMIT ${AT_ONCE}`

const TO_BE_TRIED = `
  SELECT ${RUN_COLUMNS} FROM runs r WHERE r.status = 'awaiting-identity' AND r.due_at > $1
    AND r.updated_at <= $1::bigint - least(greatest(r.updated_at - coalesce(r.user_missing_since, r.updated_at),
      ${TRY_AFTER.leastMs}), ${TRY_AFTER.mostMs})
  ORDER BY r.updated_at, r.seq LIMIT ${TRIED_AT_ONCE}`

/** A user who was missed can be had again: runs that wait for that are tried again, in the order in which they were asked for. */
export async function wakeAwaiting(options: Options, owner: Owner): Promise<number> {
  return wake(options, await options.sql.query<RunRow>({ tenant: owner.tenant }, OF_USER, [owner.id]))
}

/**
 * Nobody tells us of a consent that is given later, and who heard of the user may have died: what waits is tried by itself as
 * well, at growing intervals until it expires.
 */
export async function tryAwaiting(options: Options): Promise<number> {
  return wake(options, await options.sql.query<RunRow>('system', TO_BE_TRIED, [options.clock.now()]))
}

/** One run that cannot be woken keeps none of the others; the sweeper tries it again. */
async function wake(options: Options, rows: readonly RunRow[]): Promise<number> {
  let woken = 0
  for (const row of rows) {
    try {
      if (await wakeOne(options, row)) woken += 1
    } catch (error) {
      // That is so for all of them.
      if (error instanceof ParleyError && error.code === 'database_unavailable') throw error
      options.log.warn({ run: row.id, err: error }, 'A run that waits for its user could not be woken')
    }
  }
  return woken
}

async function wakeOne({ sql, seals, sending, news, clock }: Options, row: RunRow): Promise<boolean> {
  const now = clock.now()
  const done = await changeRun(sql, row, { status: 'queued', dueAt: now + UNSENT_AFTER_MS, now })
  if (!done) return false
  await sending.send(done.row)
  news.changed(done.row, await runOf(done.row, seals), false)
  return true
}
