import type { Owner } from '#identity/principal.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { Backlog } from './backlog.ts'
import { wantFollowUp } from './late-results.ts'

/** Also for a run that has settled since nobody waits for it. Safe to repeat: a row that was reported has its turn open already. */
const grant = (which: string) => `
  WITH wished AS (
    UPDATE runs SET follow_up = true WHERE ${which} AND conversation IS NOT NULL AND turn IS NOT NULL
    RETURNING id, version, tenant, turn, settled_at)
  INSERT INTO follow_ups (run, version, tenant, turn)
  SELECT id, version, tenant, turn FROM wished WHERE settled_at IS NOT NULL
  ON CONFLICT DO NOTHING`
const GRANT = grant('id = ANY($1::text[])')
const GRANT_UNLESS_CANCELLED = grant(`id = $1 AND status <> 'cancelled'`)
/** The person's runs are found by an index, those of a turn that have come to rest by none. */
const GRANT_TURN = grant(`tenant = $1 AND owner = $2 AND turn = $3 AND status <> 'cancelled'`)

/**
 * That a turn wants to be told later is noted in the run's row. With the database away it is noted in the live state, where
 * the turn itself ends, and moved to the row by any replica that reaches both again: a wish is lost only with its turn.
 */
export class LateWishes {
  readonly #sql: Sql
  readonly #runs: Backlog
  /** Of all runs of a turn, whichever there are: tenant, owner and turn as JSON. */
  readonly #turns: Backlog

  constructor(sql: Sql, kv: Kv) {
    this.#sql = sql
    this.#runs = new Backlog(kv, key('runs', 'late-wishes'))
    this.#turns = new Backlog(kv, key('runs', 'late-turns'))
  }

  /** False when the run is settled already, or nobody is there to be told later. Rejects with state_unavailable. */
  async want(run: string): Promise<boolean> {
    return (await this.#runs.doOrNote(run, () => wantFollowUp(this.#sql, run))) ?? true
  }

  /**
   * For a turn that has ended while it waited: also where the run has come to rest since the turn heard of it, unless it was called
   * off. Rejects with state_unavailable.
   */
  async wantAfterAll(run: string): Promise<void> {
    await this.#runs.doOrNote(run, () => this.#sql.query('system', GRANT_UNLESS_CANCELLED, [run]))
  }

  /** The same for all runs of a turn, whichever there are. Rejects with state_unavailable. */
  async wantOfTurn({ tenant, id }: Owner, turn: string): Promise<void> {
    const wished = [tenant, id, turn]
    await this.#turns.doOrNote(JSON.stringify(wished), () => this.#sql.query('system', GRANT_TURN, wished))
  }

  /** For the time when the database is back. */
  note(run: string): Promise<void> {
    return this.#runs.note(run)
  }

  /** Moves what was noted to its rows. Rejects with database_unavailable, state_unavailable. */
  async grant(): Promise<void> {
    await this.#runs.workOff((runs) => this.#sql.query('system', GRANT, [runs]))
    await this.#turns.workOff(async (turns) => {
      for (const turn of turns) await this.#sql.query('system', GRANT_TURN, JSON.parse(turn))
    })
  }
}
