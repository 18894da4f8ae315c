import type { Sql, Tx } from '#platform/sql/sql.ts'
import { isSettled, type RunStatus } from '../port.ts'
import { LOCK_CONVERSATION } from './insert.ts'
import { RUN_COLUMNS, type RunApproval, type RunRow, TOLD_ANEW_AFTER_MS, toldAnewAt } from './run-row.ts'
import { RELEASE_NEXT } from './work.ts'

/** A change that people or sweepers make to a run as they have read it. */
export interface RunChange {
  status: RunStatus
  reason?: string | null
  outcome?: Buffer | null
  dueAt?: number | null
  approval?: RunApproval
  /** Edited arguments: a new revision. */
  input?: { sealed: Buffer; argumentsHash: string }
  /** More attempts, from here on. */
  moreAttempts?: number
  now: number
}

/**
 * What is still to be retried is being sent for with its new version.
 * A worker that notes its beginning, or that it is alive, does so without a new version: what was read must still be so.
 * An ordered run that is replayed waits for the one that was let past it meanwhile. What had come to rest before was told to
 * its turn; what becomes of it now is news, its user's absence is a new one, and so is that of what it needs.
 */
const CHANGE = `
  WITH changed AS (
    UPDATE runs r SET status = $3, reason = $4, outcome = $5, waiting = o.waiting,
      due_at = CASE WHEN o.waiting AND $3 = 'queued' THEN NULL ELSE $6::bigint END, approval = $7::jsonb,
      sent_again = CASE WHEN r.status = 'retrying' AND $3 = 'retrying' THEN r.version + 1 ELSE r.sent_again END,
      input = coalesce($8, r.input), arguments_hash = coalesce($9, r.arguments_hash),
      preview = CASE WHEN $8::bytea IS NULL THEN r.preview END,
      revision = r.revision + CASE WHEN $8::bytea IS NULL THEN 0 ELSE 1 END,
      max_attempts = r.max_attempts + $10, fence = r.fence + 1, version = r.version + 1, updated_at = $11,
      settled_at = CASE WHEN $12 THEN $11::bigint END,
      user_missing_since = CASE WHEN r.settled_at IS NULL THEN r.user_missing_since END,
      held_since = CASE WHEN r.settled_at IS NULL THEN r.held_since END,
      follow_up = r.follow_up OR (r.settled_at IS NOT NULL AND r.turn IS NOT NULL AND r.conversation IS NOT NULL)
    FROM (SELECT i.waiting OR ($3 = 'queued' AND i.ordered AND i.settled_at IS NOT NULL AND EXISTS (
      SELECT FROM runs p WHERE p.conversation = i.conversation AND p.ordered AND p.settled_at IS NULL AND NOT p.waiting
    )) AS waiting FROM runs i WHERE i.id = $1) AS o
    WHERE r.id = $1 AND r.version = $2 AND (r.status <> 'running' OR (r.began = $13 AND r.due_at = $14))
    RETURNING ${RUN_COLUMNS}),
  late AS (
    INSERT INTO follow_ups (run, version, tenant, turn)
    SELECT id, version, tenant, turn FROM changed WHERE "followUp" AND "settledAt" IS NOT NULL
    ON CONFLICT DO NOTHING)
  SELECT * FROM changed`

/**
 * Undefined when the run has changed since it was read. `next`: an ordered run that may go now. `within` is part of the change:
 * both are kept or neither.
 */
export function changeRun(
  sql: Sql,
  row: RunRow,
  change: RunChange,
  within: (tx: Tx) => Promise<void> = async () => {},
): Promise<{ row: RunRow; next: RunRow | undefined } | undefined> {
  return sql.transaction('system', async (tx) => {
    const { conversation, ordered } = row
    if (ordered && conversation !== null) await tx.query(LOCK_CONVERSATION, [conversation])
    const changed = await apply(tx, row, change)
    if (!changed) return undefined
    await within(tx)
    if (!ordered || conversation === null) return { row: changed, next: undefined }
    const [next] = await tx.query<RunRow>(RELEASE_NEXT, [conversation, change.now])
    return { row: changed, next: next?.id === changed.id ? undefined : next }
  })
}

async function apply(tx: Tx, row: RunRow, change: RunChange): Promise<RunRow | undefined> {
  const { status, reason = null, outcome = row.outcome, approval = row.approval, input, now } = change
  const dueAt = isSettled({ status }) ? toldAnewAt(row, now) : (change.dueAt ?? null)
  const [changed] = await tx.query<RunRow>(CHANGE, [
    row.id,
    row.version,
    status,
    reason,
    outcome,
    dueAt,
    approval && JSON.stringify(approval),
    input?.sealed ?? null,
    input?.argumentsHash ?? null,
    change.moreAttempts ?? 0,
    now,
    isSettled({ status }),
    row.began,
    row.dueAt,
  ])
  return changed
}

const CANCEL = `
  UPDATE runs r SET status = 'cancelled', reason = $2,
    due_at = CASE WHEN r.cohort NOT IN ('', 'picked') THEN $3::bigint + ${TOLD_ANEW_AFTER_MS} END, fence = r.fence + 1, version = r.version + 1,
    updated_at = $3, settled_at = $3
  WHERE r.turn = $1 AND r.settled_at IS NULL AND r.status <> 'running' AND (r.once OR NOT r.began) RETURNING ${RUN_COLUMNS}`

/** All runs of a turn that have not started, cancelled at once. `next`: an ordered run of its conversation that may go now. */
export function cancelOfTurn(
  sql: Sql,
  turn: string,
  reason: string,
  now: number,
): Promise<{ rows: RunRow[]; next: RunRow | undefined }> {
  return sql.transaction('system', async (tx) => {
    const [ordered] = await tx.query<{ conversation: string }>(
      'SELECT conversation FROM runs WHERE turn = $1 AND settled_at IS NULL AND ordered LIMIT 1',
      [turn],
    )
    if (ordered) await tx.query(LOCK_CONVERSATION, [ordered.conversation])
    const rows = await tx.query<RunRow>(CANCEL, [turn, reason, now])
    if (!ordered) return { rows, next: undefined }
    const [next] = await tx.query<RunRow>(RELEASE_NEXT, [ordered.conversation, now])
    return { rows, next }
  })
}
