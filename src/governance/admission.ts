import { type LimitFigures, ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { Log } from '#log.ts'

/** The gate before every turn, every relayed request and every run without a chat. */
export interface Admission {
  /** Takes a place; rejects with overloaded, rate_limited, budget_exceeded, state_unavailable, database_unavailable. */
  admit(principal: Principal, asked: Asked): Promise<Admitted>
}

export interface Asked {
  /** A follow-up is what we ask by ourselves, to report late results; a run is asked for without a chat. */
  kind: 'turn' | 'relay' | 'run' | 'follow-up'
  /** Of what was said, about. */
  bytes: number
}

export interface Admitted {
  /** What is left to the caller, where there are limits. */
  limits?: LimitFigures | undefined
  /** Gives the place back; once, further calls do nothing. */
  release(): void
}

export interface AdmissionOptions {
  /** Turns and relayed requests of this replica. */
  atOnce: number
  /** Those of all replicas together; none when absent. */
  limits?: { take(principal: Principal, asked: Asked): Promise<Admitted> } | undefined
  /** Whether anything is left to spend; no budgets when absent. */
  budgets?: { check(principal: Principal): Promise<void> } | undefined
  log?: Pick<Log, 'warn'>
}

/** Bounds what one replica takes on at once, and what callers may ask for on all of them. */
export function createAdmission({ atOnce, limits, budgets, log }: AdmissionOptions): Admission {
  let taken = 0

  async function withinLimits(principal: Principal, asked: Asked): Promise<Admitted | undefined> {
    try {
      return await limits?.take(principal, asked)
    } catch (error) {
      // A turn fails of it in a moment, by itself. Others need no store, and limits are there to keep the service up.
      const isTurn = asked.kind === 'turn' || asked.kind === 'follow-up'
      if (isTurn || !(error instanceof ParleyError) || error.code !== 'state_unavailable') throw error
      log?.warn('A request is passed through without limits, since the store is out of reach')
      return undefined
    }
  }

  return {
    async admit(principal, asked) {
      // Those under way are bounded by how many may wait, and no model is paid for them.
      if (asked.kind === 'run') return { release() {}, ...(await withinLimits(principal, asked)) }
      if (taken >= atOnce) throw new ParleyError('overloaded', { retryAfterMs: 1000 })
      taken += 1
      let held = true
      let within: Admitted | undefined
      const release = () => {
        if (held) taken -= 1
        held = false
        within?.release()
      }
      try {
        // What we ask ourselves is paid for as it is answered, or fails then.
        const isPaid = asked.kind === 'follow-up' ? undefined : budgets?.check(principal)
        if (limits) {
          // Asked at once, both are one round trip; whoever is refused here does not wait to hear of the other.
          isPaid?.catch(() => {})
          within = await withinLimits(principal, asked)
        }
        await isPaid
        return { limits: within?.limits, release }
      } catch (error) {
        release()
        throw error
      }
    },
  }
}
