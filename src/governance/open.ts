import type { GovernanceEnv } from '#env.ts'
import type { Events } from '#events/events.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Mailer } from '#platform/mail/mail.ts'
import type { Sql } from '#platform/sql/sql.ts'
import { type Admission, createAdmission } from './admission.ts'
import { sendersOf } from './alerts/senders.ts'
import { type AlertFigures, openAlerts } from './alerts.ts'
import type { AuditEntry } from './audit.ts'
import { createBudgets } from './budgets/create.ts'
import type { Budgets } from './budgets.ts'
import { createKillSwitches, type KillSwitches } from './kill-switches.ts'
import type { Ledger } from './ledger.ts'
import { openLimits } from './limits/limits.ts'
import { createStops } from './stops/create.ts'
import { createKeptStops } from './stops/kept.ts'
import type { Stops } from './stops.ts'

export interface Governance {
  admission: Admission
  budgets: Budgets
  stops: Stops
  killSwitches: KillSwitches
  alerts(): AlertFigures
  close(): Promise<void>
}

export interface GovernanceOptions {
  sql: Sql
  kv: Kv
  clock: Clock
  log: Log
  events: Events
  ledger: Pick<Ledger, 'spent' | 'entries'>
  env: GovernanceEnv
  /** Turns and relayed requests of this replica at once. */
  atOnce: number
  /** Reaches the webhook for alerts. */
  fetch: typeof fetch
  mailer: Mailer
  /** What must not be done unseen waits for it. */
  record(entry: AuditEntry): Promise<void>
  /** What has happened already. */
  note(entry: AuditEntry): unknown
  /** There may be budgets in the database; else it is left alone until the first is set. */
  awake: boolean
}

/** Who may ask for how much, spend how much, and what must not go on. */
export async function openGovernance(options: GovernanceOptions): Promise<Governance> {
  const { kv, sql, clock, log, events, env, record, note, awake, atOnce } = options
  const kept = sql.engine === 'postgres' ? createKeptStops(sql) : undefined
  const stops = await createStops({ kv, kept, clock, log })
  const hasSpent = async (tenant: string, before: number) => {
    for await (const page of options.ledger.entries(tenant, { from: 0, to: before })) if (page.length > 0) return true
    return false
  }
  const limits = openLimits({ kv, clock, log, events, limits: env.limits, hasSpent })
  const { channels } = env.alerts
  const alerts = openAlerts({ events, kv, clock, log, channels, senders: sendersOf(options) })
  const { spent } = options.ledger
  const alone = sql.engine === 'pglite'
  const budgets = createBudgets({ sql, kv, clock, log, events, stops, spent, audit: record, awake, alone })
  return {
    stops,
    budgets,
    killSwitches: createKillSwitches({ stops, clock, note, events }),
    admission: createAdmission({ atOnce, limits, budgets, log }),
    alerts: alerts.figures,
    async close() {
      await budgets.close()
      await alerts.close()
      limits?.close()
      stops.close()
    },
  }
}
