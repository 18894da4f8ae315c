import type { Conversations } from '#conversations/conversations.ts'
import type { Facts } from '#events/events.ts'
import type { Withdrawals } from '#identity/keys.ts'
import { type Identity, openIdentity } from '#identity/open.ts'
import type { Owner } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { openEgress } from '#platform/egress/open.ts'
import { openEntra } from '#platform/entra/open.ts'
import type { Kv } from '#platform/kv/kv.ts'
import type { Mailer } from '#platform/mail/mail.ts'
import { createSmtpMailer, smtpPort } from '#platform/mail/smtp.ts'
import type { Env } from './env.ts'

export interface IdentifyingOptions {
  env: Pick<Env, 'identity' | 'governance' | 'actions' | 'http'>
  kv: Kv
  conversations: Pick<Conversations, 'seal'>
  clock: Clock
  log: Log
  /** The groups of a tenant that it matters of whether somebody is in them. */
  groupsWanted(tenant: string): readonly string[]
  /** Where it is told whose tokens were revoked; asked for once somebody calls. */
  withdrawals(): Withdrawals
  /** Hears that the signing keys of a tenant cannot be had, and that they can again. */
  onAway(away: Facts['identity.away']): void
  /** The authority does not take our secret. */
  onUnauthorized(): void
}

export interface Identifying extends Identity {
  /** Reaches what the environment names for our own needs: the authority of Entra ID, the webhook of alerts. */
  fetch: typeof fetch
  /** Reaches the mail server that the environment names. */
  mailer: Mailer
  sealOf: Conversations['seal']
  close(): Promise<void>
}

/** Who calls, and by which way their authority is asked. */
export function openIdentifying({
  env,
  kv,
  conversations,
  clock,
  log,
  groupsWanted,
  withdrawals,
  onAway,
  onUnauthorized,
}: IdentifyingOptions): Identifying {
  const authority = env.identity.engine === 'entra' ? [env.identity.authority, env.identity.graph ?? []].flat() : []
  const { webhook, mail } = env.governance.alerts
  const hosts = [...authority, webhook ?? []].flat().map((url) => new URL(url).host)
  if (mail) hosts.push(mailHostOf(new URL(mail.smtpUrl)))
  const { streaming } = openEgress({ hosts, privateRanges: env.actions.privateRanges, clock })
  const { fetch } = streaming
  const sealOf = (owner: Owner) => conversations.seal(owner)
  const entra = openEntra({ env: env.identity, fetch, clock, onUnauthorized })
  const { corsOrigins } = env.http
  const options = {
    env: env.identity,
    corsOrigins,
    fetch,
    entra,
    groupsWanted,
    withdrawals,
    onAway,
    kv,
    sealOf,
    clock,
    log,
  }
  const identity = openIdentity(options)
  const mailUrl = () => env.governance.alerts.mail?.smtpUrl ?? ''
  const mailer = createSmtpMailer({ url: mailUrl, connect: streaming.connect, clock })
  return { ...identity, fetch, mailer, sealOf, close: () => streaming.close() }
}

function mailHostOf(url: URL): string {
  return `${url.hostname}:${smtpPort(url)}`
}
