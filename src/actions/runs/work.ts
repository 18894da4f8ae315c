import type { Sql } from '#platform/sql/sql.ts'
import { isSettled, type RunStatus, settledStatuses } from '../port.ts'
import { Grouped } from './grouped.ts'
import { LOCK_CONVERSATION } from './insert.ts'
import { RUN_COLUMNS, type RunApproval, type RunRow, toldAnewAt, UNSENT_AFTER_MS } from './run-row.ts'

/** How an attempt ends, and where its run stands then. */
export interface AttemptEnd {
  id: string
  fence: number
  status: Extract<
    RunStatus,
    'succeeded' | 'failed' | 'unknown' | 'dead-lettered' | 'retrying' | 'awaiting-identity' | 'awaiting-approval'
  >
  /** Of the attempt. */
  ended: 'succeeded' | 'failed' | 'passing'
  reason: string | null
  outcome: Buffer | null
  dueAt: number | null
  /** The attempt does not count: its effect had not begun, for no fault of its own. */
  uncounted: boolean
  /** What it needs is out of reach. */
  away?: boolean
  /** To be decided anew. */
  approval?: RunApproval
  now: number
}

interface Hold {
  id: string
  fence: number
  until: number
  now: number
}

const SETTLED = `(${[...settledStatuses].map((status) => `'${status}'`).join(', ')})`

/** Clocks of replicas and of the broker differ. */
const EARLY_MS = 500
/**
 * A message wakes the attempt after the ones that were made when it was sent; for any other it comes too late. An attempt that does
 * not count leaves that number as it is, so one that comes before the time of the next, and was not sent for since, is one too
 * many: each that was taken would be followed by one of its own. That an effect may have begun is kept from attempt to attempt; of
 * one that must not be tried twice only those are followed by another whose effect surely had not.
 */
const CLAIM = `
  WITH claimed AS (
    UPDATE runs r SET status = 'running', attempt = r.attempt + 1, fence = r.fence + 1, began = r.began AND NOT r.once,
      due_at = c.until, version = r.version + 1, updated_at = c.now
    FROM jsonb_to_recordset($1::jsonb) AS c(id text, attempt integer, until bigint, now bigint)
    WHERE r.id = c.id AND r.attempt = c.attempt AND NOT r.waiting AND (r.status = 'queued' OR (r.status = 'retrying'
      AND (r.sent_again = r.version OR coalesce(r.due_at, 0) <= c.now + ${UNSENT_AFTER_MS + EARLY_MS})))
    RETURNING ${RUN_COLUMNS}),
  noted AS (
    INSERT INTO attempts (run, number, tenant, worker, started_at)
    SELECT id, attempt, tenant, $2, "updatedAt" FROM claimed
    ON CONFLICT (run, number) DO UPDATE SET worker = excluded.worker, started_at = excluded.started_at,
      ended_at = NULL, outcome = NULL, reason = NULL)
  SELECT * FROM claimed`

const BEGIN = `
  UPDATE runs r SET began = true FROM jsonb_to_recordset($1::jsonb) AS h(id text, fence integer)
  WHERE r.id = h.id AND r.fence = h.fence AND r.status = 'running' RETURNING r.id, r.fence`

const RENEW = `
  UPDATE runs r SET due_at = h.until FROM jsonb_to_recordset($1::jsonb) AS h(id text, fence integer, until bigint)
  WHERE r.id = h.id AND r.fence = h.fence AND r.status = 'running' RETURNING r.id, r.fence`

const END = `
  WITH ended AS (
    UPDATE runs r SET status = e.status, attempt = r.attempt - CASE WHEN e.uncounted THEN 1 ELSE 0 END,
      due_at = e.due_at, reason = e.reason, approval = coalesce(e.approval, r.approval), outcome = coalesce(decode(e.outcome, 'base64'), r.outcome),
      version = r.version + 1, updated_at = e.now, settled_at = CASE WHEN e.status IN ${SETTLED} THEN e.now END,
      user_missing_since = CASE WHEN e.status = 'awaiting-identity' THEN coalesce(r.user_missing_since, e.now) END,
      held_since = CASE WHEN e.away THEN coalesce(r.held_since, e.now) END
    FROM jsonb_to_recordset($1::jsonb) AS e(id text, fence integer, status text, ended text, reason text, outcome text,
      due_at bigint, uncounted boolean, away boolean, approval jsonb, now bigint)
    WHERE r.id = e.id AND r.fence = e.fence AND r.status = 'running'
    RETURNING ${RUN_COLUMNS}, e.ended, r.attempt + CASE WHEN e.uncounted THEN 1 ELSE 0 END AS number),
  noted AS (
    UPDATE attempts a SET ended_at = ended."updatedAt", outcome = ended.ended, reason = ended.reason
    FROM ended WHERE a.run = ended.id AND a.number = ended.number),
  late AS (
    INSERT INTO follow_ups (run, version, tenant, turn)
    SELECT id, version, tenant, turn FROM ended WHERE "followUp" AND "settledAt" IS NOT NULL
    ON CONFLICT DO NOTHING)
  SELECT * FROM ended`

/** The next of the ordered runs of a conversation, if the one before leaves the way free. */
export const RELEASE_NEXT = `
  UPDATE runs r SET waiting = false, due_at = coalesce(r.due_at, $2::bigint + ${UNSENT_AFTER_MS}), version = r.version + 1, updated_at = $2::bigint
  WHERE r.waiting AND r.id = (
    SELECT n.id FROM runs n
    WHERE n.conversation = $1 AND n.ordered
      AND (n.settled_at IS NULL OR n.status IN ('unknown', 'dead-lettered'))
    ORDER BY n.seq LIMIT 1)
    AND NOT EXISTS (
      SELECT FROM runs p WHERE p.conversation = $1 AND p.ordered AND p.settled_at IS NULL AND NOT p.waiting)
  RETURNING ${RUN_COLUMNS}`

/** What a worker does with runs, many at a time, each under its fence. */
export class RunWork {
  readonly #sql: Sql
  readonly #claims: Grouped<{ id: string; attempt: number; until: number; now: number }, RunRow | undefined>
  readonly #begins: Grouped<Pick<Hold, 'id' | 'fence'>, boolean>
  readonly #renewals: Grouped<Hold, boolean>
  readonly #ends: Grouped<AttemptEnd, RunRow | undefined>

  constructor(sql: Sql, worker: string) {
    this.#sql = sql
    this.#claims = new Grouped(async (claims) => {
      const rows = await sql.query<RunRow>('system', CLAIM, [JSON.stringify(distinct(claims)), worker])
      return onceEach(claims.map(placeOfClaim), rows, ({ id, attempt }) => placeOfClaim({ id, attempt: attempt - 1 }))
    })
    this.#begins = new Grouped((holds) => this.#held(BEGIN, holds))
    this.#renewals = new Grouped((holds) => this.#held(RENEW, holds))
    this.#ends = new Grouped(
      async (ends) => {
        const rows = await sql.query<RunRow>('system', END, [endsAsJson(ends)])
        return onceEach(ends.map(placeOfHold), rows, placeOfHold)
      },
      ({ outcome }) => outcome?.length ?? 0,
    )
  }

  /** Claims the run for its next attempt until `until`; undefined when it is not to be had. */
  claim(id: string, attempt: number, until: number, now: number): Promise<RunRow | undefined> {
    return this.#claims.do({ id, attempt, until, now })
  }

  /** Notes that the effect begins; false when the run is somebody else's by now. */
  begin(id: string, fence: number): Promise<boolean> {
    return this.#begins.do({ id, fence })
  }

  renew(hold: Hold): Promise<boolean> {
    return this.#renewals.do(hold)
  }

  /** Undefined when the run is somebody else's by now. `next`: an ordered run that may go now. */
  async end(how: AttemptEnd, row: RunRow): Promise<{ row: RunRow; next: RunRow | undefined } | undefined> {
    const { conversation, ordered } = row
    const end = isSettled(how) ? { ...how, dueAt: toldAnewAt(row, how.now) } : how
    if (!ordered || conversation === null) {
      const ended = await this.#ends.do(end)
      return ended && { row: ended, next: undefined }
    }
    return this.#sql.transaction('system', async (tx) => {
      await tx.query(LOCK_CONVERSATION, [conversation])
      const [ended] = await tx.query<RunRow>(END, [endsAsJson([end])])
      if (!ended) return undefined
      const [next] = await tx.query<RunRow>(RELEASE_NEXT, [conversation, end.now])
      return { row: ended, next }
    })
  }

  async #held(text: string, holds: readonly Pick<Hold, 'id' | 'fence'>[]): Promise<boolean[]> {
    const rows = await this.#sql.query<Pick<Hold, 'id' | 'fence'>>('system', text, [JSON.stringify(holds)])
    const held = new Set(rows.map(placeOfHold))
    return holds.map((hold) => held.has(placeOfHold(hold)))
  }
}

/** Of several deliveries for one attempt only the first counts; one that comes too late takes nothing from the right one. */
function distinct<Item extends { id: string; attempt: number }>(items: readonly Item[]): Item[] {
  return [...new Map(items.toReversed().map((item) => [placeOfClaim(item), item])).values()]
}

function placeOfClaim({ id, attempt }: { id: string; attempt: number }): string {
  return `${id}:${attempt}`
}

/** An old and a new attempt of one run may be in the same group: the fence tells them apart. */
function placeOfHold({ id, fence }: { id: string; fence: number }): string {
  return `${id}:${fence}`
}

/** Each row goes to the first of its place, in the order of the places. */
function onceEach(
  places: readonly string[],
  rows: readonly RunRow[],
  placeOf: (row: RunRow) => string,
): (RunRow | undefined)[] {
  const left = new Map(rows.map((row) => [placeOf(row), row]))
  return places.map((place) => {
    const row = left.get(place)
    left.delete(place)
    return row
  })
}

function endsAsJson(ends: readonly AttemptEnd[]): string {
  return JSON.stringify(
    ends.map((end) => ({ ...end, due_at: end.dueAt, outcome: end.outcome?.toString('base64') ?? null })),
  )
}
