import type { BudgetReached, Events } from '#events/events.ts'
import type { Log } from '#log.ts'

export interface AlertsOptions {
  events: Pick<Events, 'on'>
  log: Log
  /** Where warnings and what is critical are posted, if anywhere. */
  webhook: { url: () => string; fetch: typeof fetch } | undefined
}

type Severity = 'info' | 'warning' | 'critical'

const POST_TIMEOUT_MS = 10_000

/** Tells people of budgets that run out: all of it in the log, by its severity; from warnings on, by the webhook. */
export function tellAlerts({ events, log, webhook }: AlertsOptions): void {
  events.on('budget.reached', (reached) => {
    const severity = severityOf(reached)
    const say = { info: 'info', warning: 'warn', critical: 'error' } as const
    log[say[severity]]({ ...reached, severity }, 'A budget has reached a level')
    if (severity !== 'info' && webhook) void post(webhook, { severity, kind: 'budget.reached', ...reached }, log)
  })
}

function severityOf({ percent }: BudgetReached): Severity {
  if (percent >= 95) return 'critical'
  return percent >= 85 ? 'warning' : 'info'
}

async function post(webhook: NonNullable<AlertsOptions['webhook']>, alert: object, log: Log): Promise<void> {
  try {
    const response = await webhook.fetch(webhook.url(), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(alert),
      signal: AbortSignal.timeout(POST_TIMEOUT_MS),
    })
    await response.body?.cancel()
    if (!response.ok) log.warn({ status: response.status }, 'The webhook for alerts refused one')
  } catch (error) {
    log.warn({ err: error }, 'The webhook for alerts could not be reached')
  }
}
