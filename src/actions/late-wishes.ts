import { ParleyError } from '#errors.ts'
import type { Owner } from '#identity/principal.ts'
import { type Key, type Kv, key, type Operation } from '#platform/kv/kv.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { wantFollowUp } from './late-results.ts'

const wishes = key('runs', 'late-wishes')
/** Of all runs of a turn, whichever there are: tenant, owner and turn as JSON. */
const turnWishes = key('runs', 'late-turns')
const AT_ONCE = 100

/** KEYS wishes · ARGV run, or turn. */
export const noteWish: Operation<void> = {
  name: 'late-wish.note',
  lua: `redis.call('ZADD', KEYS[1], now_ms(), ARGV[1]) return {}`,
  twin: (step, [index], [run]) => {
    if (!index) throw new RangeError('late-wish.note needs a key')
    step.add(index, String(run), step.now)
    return []
  },
  decode: () => undefined,
}

/** KEYS wishes · ARGV limit. The oldest. */
export const oldestWishes: Operation<string[]> = {
  name: 'late-wish.oldest',
  lua: `return redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)`,
  twin: (step, [index], [limit]) => {
    if (!index) throw new RangeError('late-wish.oldest needs a key')
    return step.below(index, Number.MAX_SAFE_INTEGER, Number(limit)).map(({ member }) => Buffer.from(member))
  },
  decode: (reply) => reply.map((member) => String(member)),
}

/** KEYS wishes · ARGV runs, or turns. */
export const dropWishes: Operation<void> = {
  name: 'late-wish.drop',
  lua: `redis.call('ZREM', KEYS[1], unpack(ARGV)) return {}`,
  twin: (step, [index], runs) => {
    if (!index) throw new RangeError('late-wish.drop needs a key')
    for (const run of runs) step.remove(index, String(run))
    return []
  },
  decode: () => undefined,
}

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
  readonly #kv: Kv

  constructor(sql: Sql, kv: Kv) {
    this.#sql = sql
    this.#kv = kv
  }

  /** False when the run is settled already, or nobody is there to be told later. Rejects with state_unavailable. */
  async want(run: string): Promise<boolean> {
    try {
      return await wantFollowUp(this.#sql, run)
    } catch (error) {
      if (!isAway(error)) throw error
      await this.note(run)
      return true
    }
  }

  /**
   * For a turn that has ended while it waited: also where the run has come to rest since the turn heard of it, unless it was called
   * off. Rejects with state_unavailable.
   */
  async wantAfterAll(run: string): Promise<void> {
    try {
      await this.#sql.query('system', GRANT_UNLESS_CANCELLED, [run])
    } catch (error) {
      if (!isAway(error)) throw error
      await this.note(run)
    }
  }

  /** The same for all runs of a turn, whichever there are. Rejects with state_unavailable. */
  async wantOfTurn({ tenant, id }: Owner, turn: string): Promise<void> {
    const wished = [tenant, id, turn]
    try {
      await this.#sql.query('system', GRANT_TURN, wished)
    } catch (error) {
      if (!isAway(error)) throw error
      await this.#kv.run(noteWish, [turnWishes], [JSON.stringify(wished)])
    }
  }

  /** For the time when the database is back. */
  note(run: string): Promise<void> {
    return this.#kv.run(noteWish, [wishes], [run])
  }

  /** Moves what was noted to its rows. Rejects with database_unavailable, state_unavailable. */
  async grant(): Promise<void> {
    if (!this.#kv.reachable) return
    await this.#grantAll(wishes, (runs) => this.#sql.query('system', GRANT, [runs]))
    await this.#grantAll(turnWishes, async (turns) => {
      for (const turn of turns) await this.#sql.query('system', GRANT_TURN, JSON.parse(turn))
    })
  }

  async #grantAll(noted: Key, grant: (members: string[]) => Promise<unknown>): Promise<void> {
    for (let count = AT_ONCE; count === AT_ONCE; ) {
      const members = await this.#kv.run(oldestWishes, [noted], [AT_ONCE])
      count = members.length
      if (count === 0) return
      await grant(members)
      await this.#kv.run(dropWishes, [noted], members)
    }
  }
}

export function isAway(error: unknown): boolean {
  return error instanceof ParleyError && error.code === 'database_unavailable'
}
