import type { Scope, Sql } from '#platform/sql/sql.ts'
import type { RunStatus } from '../port.ts'
import { RESEND_AFTER_MS, RUN_COLUMNS, type RunRow } from './run-row.ts'

export interface AttemptRow {
  run: string
  number: number
  startedAt: number
  endedAt: number | null
  outcome: 'succeeded' | 'failed' | 'passing' | 'lost' | null
  reason: string | null
}

export async function readRun(sql: Sql, scope: Scope, id: string): Promise<RunRow | undefined> {
  const [row] = await sql.query<RunRow>(scope, `SELECT ${RUN_COLUMNS} FROM runs r WHERE r.id = $1`, [id])
  return row
}

export async function readRuns(sql: Sql, ids: readonly string[]): Promise<RunRow[]> {
  return sql.query<RunRow>('system', `SELECT ${RUN_COLUMNS} FROM runs r WHERE r.id = ANY($1::text[])`, [ids])
}

export async function readAttempts(sql: Sql, scope: Scope, runs: readonly string[]): Promise<AttemptRow[]> {
  return sql.query<AttemptRow>(
    scope,
    `SELECT run, number, started_at AS "startedAt", ended_at AS "endedAt", outcome, reason
     FROM attempts WHERE run = ANY($1::text[]) ORDER BY run, number`,
    [runs],
  )
}

/** Of runs that were undone, or are to be: by which run, the one that counts. */
export async function readUndoings(
  sql: Sql,
  scope: Scope,
  runs: readonly string[],
): Promise<Map<string, Pick<RunRow, 'id' | 'status'>>> {
  const rows = await sql.query<Pick<RunRow, 'id' | 'status'> & { undoes: string }>(
    scope,
    `SELECT DISTINCT ON (undoes) undoes, id, status FROM runs WHERE undoes = ANY($1::text[])
     ORDER BY undoes, status IN ('rejected', 'cancelled', 'expired'), seq DESC`,
    [runs],
  )
  return new Map(rows.map(({ undoes, ...run }) => [undoes, run]))
}

export interface RunFilter {
  tenant: string
  /** Only this principal's own. */
  owner?: string
  /** Only those whose approval one with these roles may decide, other than their own unless that is allowed. */
  approver?: { id: string; roles: readonly string[] }
  status?: RunStatus
  action?: string
  reason?: string
  /** Only those before this id. */
  before?: string
  limit: number
}

/** A run in a list: what came of it is left out where it is large. */
export interface ListedRun extends RunRow {
  outcomeLeftOut: boolean
}

/** Of what came of a run, in a list: 16 KiB of text, sealed. A list of 100 is not to weigh 100 MiB. */
const LISTED_OUTCOME_BYTES = 16 * 1024 + 64

const LISTED_COLUMNS = RUN_COLUMNS.replace(
  'r.outcome,',
  `CASE WHEN octet_length(r.outcome) <= ${LISTED_OUTCOME_BYTES} THEN r.outcome END AS outcome,
  coalesce(octet_length(r.outcome) > ${LISTED_OUTCOME_BYTES}, false) AS "outcomeLeftOut",`,
)

/** Newest first. */
export async function listRuns(sql: Sql, filter: RunFilter): Promise<ListedRun[]> {
  const { tenant, owner, approver, status, action, reason, before, limit } = filter
  const params: (string | number | readonly string[])[] = []
  const where: string[] = []
  const add = (value: string | number | readonly string[], condition: (place: string) => string) => {
    params.push(value)
    where.push(condition(`$${params.length}`))
  }
  if (owner !== undefined) add(owner, (at) => `r.owner = ${at}`)
  if (status !== undefined) add(status, (at) => `r.status = ${at}`)
  if (action !== undefined) add(action, (at) => `r.action = ${at}`)
  if (reason !== undefined) add(reason, (at) => `r.reason = ${at}`)
  if (before !== undefined) add(before, (at) => `r.id < ${at}`)
  if (approver) {
    where.push(`r.status = 'awaiting-approval'`)
    params.push(approver.id, approver.roles)
    const [id, roles] = [`$${params.length - 1}`, `$${params.length}::text[]`]
    where.push(`CASE WHEN r.owner <> ${id} THEN r.approval -> 'roles' ?| ${roles}
      WHEN r.approval ->> 'because' = 'untrusted' THEN true
      ELSE (r.approval ->> 'ownAllowed')::boolean AND r.approval -> 'roles' ?| ${roles} END`)
  }
  params.push(limit)
  return sql.query<ListedRun>(
    { tenant },
    `SELECT ${LISTED_COLUMNS} FROM runs r ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''}
     ORDER BY r.id DESC LIMIT $${params.length}`,
    params,
  )
}

/**
 * Runs that were to be begun by now and may not have been sent for since they last changed; each is taken once, and looked at
 * again only later.
 */
export function takeUnsent(
  sql: Sql,
  now: number,
  limit: number,
): Promise<Pick<RunRow, 'id' | 'attempt' | 'version' | 'traceparent'>[]> {
  return sql.query(
    'system',
    `UPDATE runs SET sent_again = version, due_at = $1::bigint + ${RESEND_AFTER_MS} WHERE id IN (
       SELECT id FROM runs WHERE due_at <= $1 AND status IN ('queued', 'retrying') AND NOT waiting
         AND sent_again IS DISTINCT FROM version
       ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING id, attempt, version, traceparent`,
    [now, limit],
  )
}

/**
 * What somebody must look after by now, the longest overdue first; `after` is the last of the page before. What is in one of the
 * statuses `passedOver` is left alone, and so is what `takeUnsent` is for: it may have become due since that looked.
 */
export function dueRuns(
  sql: Sql,
  now: number,
  limit: number,
  passedOver: readonly RunStatus[],
  after: Pick<RunRow, 'dueAt' | 'id'> = { dueAt: null, id: '' },
): Promise<RunRow[]> {
  return sql.query<RunRow>(
    'system',
    `SELECT ${RUN_COLUMNS} FROM runs r WHERE r.due_at <= $1 AND (r.due_at, r.id) > ($3::bigint, $4)
       AND r.status <> ALL($5::text[])
       AND (r.status NOT IN ('queued', 'retrying') OR r.waiting OR r.sent_again IS NOT DISTINCT FROM r.version)
     ORDER BY r.due_at, r.id LIMIT $2`,
    [now, limit, after.dueAt ?? -1, after.id, passedOver],
  )
}

/** The run that an ordered one waits for: one before it, or one that was let past it before it was replayed. */
export async function blockerOf(sql: Sql, row: RunRow): Promise<string | null> {
  if (!row.waiting || row.conversation === null) return null
  const [blocker] = await sql.query<{ id: string }>(
    { tenant: row.tenant },
    `SELECT r.id FROM runs r WHERE r.conversation = $1 AND r.ordered AND r.seq <> $2
       AND (r.settled_at IS NULL OR r.status IN ('unknown', 'dead-lettered'))
       AND (r.seq < $2 OR (r.settled_at IS NULL AND NOT r.waiting)) ORDER BY r.seq LIMIT 1`,
    [row.conversation, row.seq],
  )
  return blocker?.id ?? null
}

/** How many runs wait to be executed, up to `atMost`. */
export async function countWaiting(sql: Sql, atMost: number): Promise<number> {
  const [row] = await sql.query<{ count: number }>(
    'system',
    `SELECT count(*) AS count FROM (SELECT FROM runs WHERE settled_at IS NULL AND status IN ('queued', 'retrying') LIMIT $1) AS waiting`,
    [atMost],
  )
  return row?.count ?? 0
}
