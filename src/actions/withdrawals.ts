import type { Clock } from '#platform/clock.ts'
import { type Kv, key } from '#platform/kv/kv.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { Backlog } from './backlog.ts'
import type { RunNews } from './run-news.ts'
import { runOf } from './run-shape.ts'
import { cancelOfTurn } from './runs/changes.ts'
import type { RunSeals } from './runs/run-seals.ts'
import type { Sending } from './sending.ts'

export interface WithdrawalsOptions {
  sql: Sql
  kv: Kv
  seals: RunSeals
  sending: Sending
  news: RunNews
  clock: Clock
}

/**
 * Calls off what a cancelled turn has asked for and nobody has begun. With the database away nothing is begun either: the turn
 * ends all the same, and any replica that reaches the database again makes up for it.
 */
export class Withdrawals {
  readonly #options: WithdrawalsOptions
  readonly #turns: Backlog

  constructor(options: WithdrawalsOptions) {
    this.#options = options
    this.#turns = new Backlog(options.kv, key('runs', 'late-withdrawals'))
  }

  /** Rejects with state_unavailable. */
  async withdraw(turn: string): Promise<void> {
    await this.#turns.doOrNote(turn, () => this.#cancel(turn))
  }

  /** Does what was noted. Rejects with database_unavailable, state_unavailable. */
  async catchUp(): Promise<void> {
    await this.#turns.workOff(async (turns) => {
      for (const turn of turns) await this.#cancel(turn)
    })
  }

  async #cancel(turn: string): Promise<void> {
    const { sql, seals, sending, news, clock } = this.#options
    const { rows, next } = await cancelOfTurn(sql, turn, 'withdrawn', clock.now())
    if (next?.status === 'queued') await sending.send(next)
    for (const row of rows) news.changed(row, await runOf(row, seals), false)
  }
}
