import { createHmac } from 'node:crypto'
import type { Clock } from '#platform/clock.ts'
import type { Alert } from './alert.ts'

export interface WebhookOptions {
  url(): string | undefined
  /** `whsec_` and base64; none, and posts are not signed. */
  secrets(): readonly string[]
  fetch: typeof fetch
  clock: Clock
}

const TIMEOUT_MS = 10_000

/** Posts alerts as Standard Webhooks has it: the receiver can tell that they are ours, and recent, and which come again. */
export function createWebhook({ url, secrets, fetch, clock }: WebhookOptions): (alert: Alert) => Promise<void> {
  return async ({ id, ...data }) => {
    const target = url()
    if (target === undefined) throw new Error('There is no webhook any more.')
    const body = JSON.stringify(data)
    const seconds = String(Math.floor(clock.now() / 1000))
    const signatures = secrets().map((secret) => `v1,${sign(secret, `${id}.${seconds}.${body}`)}`)
    const response = await fetch(target, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': seconds,
        ...(signatures.length > 0 && { 'webhook-signature': signatures.join(' ') }),
      },
      body,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    await response.body?.cancel()
    if (!response.ok) throw new Error(`The receiver answers ${response.status}.`)
  }
}

function sign(secret: string, content: string): string {
  return createHmac('sha256', Buffer.from(secret.replace(/^whsec_/, ''), 'base64'))
    .update(content)
    .digest('base64')
}
