import type { Sql } from '#platform/sql/sql.ts'
import type { RunStatus } from '../port.ts'
import { Grouped } from './grouped.ts'
import { RUN_COLUMNS, type RunRow } from './run-row.ts'

/** What a run begins as. */
export interface NewRun
  extends Omit<
    RunRow,
    | ('seq' | 'askedHash' | 'version' | 'revision' | 'waiting' | 'attempt' | 'fence' | 'began')
    | ('preview' | 'userMissingSince' | 'heldSince' | 'followUp' | 'createdAt' | 'updatedAt' | 'settledAt' | 'status')
  > {
  status: Extract<RunStatus, 'queued' | 'awaiting-approval' | 'rejected'>
  now: number
}

/**
 * An ordered run waits while an earlier one of its conversation is open. Who inserts or settles ordered runs of a
 * conversation holds its lock, so their numbers are in the order in which they became visible.
 */
export const LOCK_CONVERSATION = `SELECT pg_advisory_xact_lock(hashtext('runs of ' || $1))`

const COLUMNS = `id text, tenant text, owner text, key text, arguments_hash text, action text, config text, arm text, cohort text, unit text, specialist text,
  conversation text, turn text, undoes text, status text, ordered boolean, once boolean, max_attempts integer, due_at bigint, input text,
  outcome text, reason text, approval jsonb, traceparent text, now bigint`

const INSERT = `
  WITH taken AS (
    INSERT INTO runs AS r (id, tenant, owner, key, arguments_hash, asked_hash, action, config, arm, cohort, unit, specialist, conversation, turn, undoes, status,
      ordered, waiting, once, max_attempts, due_at, input, outcome, reason, approval, traceparent, created_at, updated_at,
      settled_at)
    SELECT n.id, n.tenant, n.owner, n.key, n.arguments_hash, n.arguments_hash, n.action, n.config, n.arm, n.cohort, n.unit, n.specialist, n.conversation, n.turn, n.undoes,
      n.status, n.ordered, o.waiting, n.once, n.max_attempts,
      CASE WHEN o.waiting AND n.status = 'queued' THEN NULL ELSE n.due_at END, decode(n.input, 'base64'), decode(n.outcome, 'base64'), n.reason, n.approval,
      n.traceparent, n.now, n.now, CASE WHEN n.status = 'rejected' THEN n.now END
    FROM jsonb_to_recordset($1::jsonb) AS n(${COLUMNS})
    CROSS JOIN LATERAL (SELECT n.ordered AND EXISTS (
      SELECT FROM runs p WHERE p.conversation = n.conversation AND p.ordered
        AND (p.settled_at IS NULL OR p.status IN ('unknown', 'dead-lettered'))) AS waiting) AS o
    ON CONFLICT DO NOTHING
    RETURNING ${RUN_COLUMNS})
  SELECT * FROM taken`

/** Those that were there already: the same key again. */
const KNOWN = `
  SELECT ${RUN_COLUMNS} FROM jsonb_to_recordset($1::jsonb) AS n(tenant text, owner text, key text)
  JOIN runs r ON r.tenant = n.tenant AND r.owner = n.owner AND r.key = n.key`

/** Whoever asked for it: the one that is done or may be, else the last. */
const KNOWN_UNDOING = `
  SELECT ${RUN_COLUMNS} FROM runs r WHERE r.tenant = $1 AND r.undoes = $2
  ORDER BY r.status IN ('rejected', 'cancelled', 'expired'), r.seq DESC LIMIT 1`

/** Writes runs, many at a time; the same key again gives the run that it has, and so does another undoing of the same run. */
export class RunInserts {
  readonly #sql: Sql
  readonly #inserts: Grouped<NewRun, RunRow>

  constructor(sql: Sql) {
    this.#sql = sql
    this.#inserts = new Grouped(
      (runs) => this.#insertAll(runs),
      ({ input }) => input.length,
    )
  }

  insert(run: NewRun): Promise<RunRow> {
    const conversation = run.ordered ? run.conversation : null
    return conversation !== null || run.undoes !== null ? this.#insertAlone(run, conversation) : this.#inserts.do(run)
  }

  /** The run that has this key, if there is one. */
  async find(place: Pick<RunRow, 'tenant' | 'owner' | 'key'>): Promise<RunRow | undefined> {
    return (await this.#known([place])).get(placeOf(place))
  }

  async #insertAlone(run: NewRun, conversation: string | null): Promise<RunRow> {
    const rows = await this.#sql.transaction('system', async (tx) => {
      if (conversation !== null) await tx.query(LOCK_CONVERSATION, [conversation])
      return tx.query<RunRow>(INSERT, [asJson([run])])
    })
    return rows[0] ?? (await this.#undoing(run)) ?? (await this.#known([run])).get(placeOf(run)) ?? vanished()
  }

  async #undoing({ tenant, undoes }: NewRun): Promise<RunRow | undefined> {
    if (undoes === null) return undefined
    const [row] = await this.#sql.query<RunRow>('system', KNOWN_UNDOING, [tenant, undoes])
    return row
  }

  async #insertAll(runs: readonly NewRun[]): Promise<RunRow[]> {
    const fresh = await this.#sql.query<RunRow>('system', INSERT, [asJson(runs)])
    const byPlace = new Map(fresh.map((row) => [placeOf(row), row]))
    const others = runs.filter((run) => !byPlace.has(placeOf(run)))
    for (const [place, row] of await this.#known(others)) byPlace.set(place, row)
    return runs.map((run) => byPlace.get(placeOf(run)) ?? vanished())
  }

  async #known(runs: readonly Pick<RunRow, 'tenant' | 'owner' | 'key'>[]): Promise<Map<string, RunRow>> {
    if (runs.length === 0) return new Map()
    const places = runs.map(({ tenant, owner, key }) => ({ tenant, owner, key }))
    const rows = await this.#sql.query<RunRow>('system', KNOWN, [JSON.stringify(places)])
    return new Map(rows.map((row) => [placeOf(row), row]))
  }
}

function placeOf({ tenant, owner, key }: Pick<RunRow, 'tenant' | 'owner' | 'key'>): string {
  return JSON.stringify([tenant, owner, key])
}

function vanished(): never {
  throw new Error('a run was neither written nor found')
}

function asJson(runs: readonly NewRun[]): string {
  return JSON.stringify(
    runs.map((run) => ({
      ...run,
      arguments_hash: run.argumentsHash,
      max_attempts: run.maxAttempts,
      due_at: run.dueAt,
      input: run.input.toString('base64'),
      outcome: run.outcome?.toString('base64') ?? null,
    })),
  )
}
