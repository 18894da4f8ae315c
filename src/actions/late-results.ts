import { isErased, isUnreadable } from '#conversations/erased.ts'
import type { Sql } from '#platform/sql/sql.ts'
import type { FollowUp } from './port.ts'
import { runOf } from './run-shape.ts'
import { readRuns } from './runs/reads.ts'
import type { RunSeals } from './runs/run-seals.ts'

/** Notes that the turn goes on without this run; false when it is settled already, or nobody is there to be told later. */
export async function wantFollowUp(sql: Sql, run: string): Promise<boolean> {
  const rows = await sql.query(
    'system',
    'UPDATE runs SET follow_up = true WHERE id = $1 AND settled_at IS NULL AND conversation IS NOT NULL RETURNING id',
    [run],
  )
  return rows.length > 0
}

/** Late results of a turn are reported together, under a name that stays the same whoever takes them. */
const TAKE = `
  WITH open AS (
    SELECT f.run, f.version, f.turn, f.batch FROM follow_ups f WHERE f.lease_until <= $1
    ORDER BY f.run LIMIT $2 FOR UPDATE SKIP LOCKED),
  named AS (
    SELECT run, version, coalesce(batch, min(run || '.' || version) FILTER (WHERE batch IS NULL) OVER (PARTITION BY turn)) AS batch
    FROM open)
  UPDATE follow_ups f SET lease_until = $3, batch = named.batch FROM named
  WHERE f.run = named.run AND f.version = named.version
  RETURNING f.run, f.version, f.batch`

export async function takeFollowUps(
  sql: Sql,
  seals: RunSeals,
  now: number,
  limit: number,
  leaseMs: number,
): Promise<FollowUp[]> {
  const taken = await sql.query<{ run: string; version: number; batch: string }>('system', TAKE, [
    now,
    limit,
    now + leaseMs,
  ])
  if (taken.length === 0) return []
  const ids = new Set(taken.map(({ run }) => run))
  const rowOf = new Map((await readRuns(sql, [...ids])).map((row) => [row.id, row]))
  const followUps: FollowUp[] = []
  for (const [id, results] of Map.groupBy(taken, ({ batch }) => batch)) {
    const runs = results.flatMap(({ run, version }) => {
      const row = rowOf.get(run)
      return row?.version === version ? [row] : []
    })
    const [first] = runs
    if (!first || first.turn === null || first.conversation === null) {
      // Somebody has moved them on since: what comes of that is reported in their place.
      await followUpDone(sql, id)
      continue
    }
    const { turn, conversation } = first
    try {
      const { principal } = await seals.input(first)
      const told = await Promise.all(runs.map((row) => runOf(row, seals)))
      followUps.push({ id, turn, conversation, principal, runs: told })
    } catch (error) {
      if (isErased(error)) await followUpDone(sql, id)
      // Its key may be had again; until then it holds up nobody else.
      else if (!isUnreadable(error)) throw error
    }
  }
  return followUps
}

export async function followUpDone(sql: Sql, id: string): Promise<void> {
  await sql.query('system', 'DELETE FROM follow_ups WHERE batch = $1', [id])
}
