import type { GovernanceEnv } from '#env.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import type { Mailer } from '#platform/mail/mail.ts'
import { type Alert, type Channel, wordsOf } from './alert.ts'
import { createWebhook } from './webhook.ts'

export interface SendersOptions {
  env: Pick<GovernanceEnv, 'alerts'>
  fetch: typeof fetch
  mailer: Mailer
  clock: Clock
  log: Log
}

/** What leads out of the process, as far as the environment says where to. */
export function sendersOf({ env, fetch, mailer, clock, log }: SendersOptions) {
  const { alerts } = env
  const senders: Partial<Record<Channel, (alert: Alert) => Promise<void>>> = {}
  if (alerts.webhook !== undefined) {
    senders.webhook = createWebhook({ url: () => alerts.webhook, secrets: () => alerts.webhookSecrets, fetch, clock })
  }
  if (alerts.mail) {
    const { from, to } = alerts.mail
    senders.email = async (alert) => {
      const { refused } = await mailer.send({ id: alert.id, from, to, ...wordsOf(alert) })
      if (refused > 0) log.warn({ refused }, 'The mail server takes no alerts for some who they are meant for')
    }
  }
  return senders
}
