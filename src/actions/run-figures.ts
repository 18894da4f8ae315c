import type { Migration, Sql } from '#platform/sql/sql.ts'
import type { RunStatus } from './port.ts'

/** Runs of all tenants that are not at rest, and those that wait for a person. */
export interface RunFigure {
  status: RunStatus
  count: number
  /** How long the longest of them has had its status. */
  oldestAgeMs: number
}

/** What is counted is found without a walk over all that ever ran. */
export const runFiguresMigration: Migration = {
  name: '0019-run-figures',
  sql: `CREATE INDEX runs_not_done ON runs (status)
    WHERE settled_at IS NULL OR status IN ('unknown', 'dead-lettered');`,
}

/** In one statement, over an index of its own. Of a status that no run has, the figure is 0, so that an alert sees it end. */
export async function readRunFigures(sql: Sql, now: number): Promise<RunFigure[]> {
  const rows = await sql.query<{ status: RunStatus; count: number; since: number }>(
    'system',
    `SELECT status, count(*) AS count, min(updated_at) AS since FROM runs
     WHERE settled_at IS NULL OR status IN ('unknown', 'dead-lettered') GROUP BY status`,
  )
  const seen = new Map(rows.map((row) => [row.status, row]))
  return WATCHED.map((status) => {
    const { count = 0, since = now } = seen.get(status) ?? {}
    return { status, count, oldestAgeMs: Math.max(0, now - since) }
  })
}

const WATCHED: readonly RunStatus[] = [
  'requested',
  'awaiting-approval',
  'awaiting-identity',
  'queued',
  'running',
  'retrying',
  'unknown',
  'dead-lettered',
]
