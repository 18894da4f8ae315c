import type { Owner } from '#identity/principal.ts'
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
}

/** More are left to the next time that the user is seen. */
const AT_ONCE = 1000

const AWAITING = `
  SELECT ${RUN_COLUMNS} FROM runs r WHERE r.owner = $1 AND r.status = 'awaiting-identity' ORDER BY r.seq LIMIT ${AT_ONCE}`

/** A user who was missed is here again: runs that wait for an identity are tried again, in the order in which they were asked for. */
export async function wakeAwaiting({ sql, seals, sending, news, clock }: Options, owner: Owner): Promise<number> {
  const rows = await sql.query<RunRow>({ tenant: owner.tenant }, AWAITING, [owner.id])
  let woken = 0
  for (const row of rows) {
    const now = clock.now()
    const done = await changeRun(sql, row, { status: 'queued', dueAt: now + UNSENT_AFTER_MS, now })
    if (!done) continue
    woken += 1
    await sending.send(done.row)
    news.changed(done.row, await runOf(done.row, seals), false)
  }
  return woken
}
