import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Events } from '#events/events.ts'
import { startApp } from '../support/app.ts'
import { capturedLog } from '../support/captured-log.ts'
import { httpTarget } from '../support/http-target.ts'
import { startMailServer } from '../support/mail-server.ts'
import { parseMetrics } from '../support/prometheus.ts'

test('a budget that runs out is told to the log, to a webhook that can trust it, by mail and in metrics', async () => {
  await using hook = await httpTarget((_request, response) => void response.writeHead(204).end())
  await using mail = await startMailServer()
  const secret = randomBytes(32)
  const { log, lines } = capturedLog()
  let events: Events | undefined
  await using app = await startApp({
    log,
    overrides: {
      listen: (told) => {
        events = told
      },
    },
    variables: {
      PARLEY_ALERTS: 'warning:webhook',
      PARLEY_ALERT_WEBHOOK: `${hook.origin}/hook`,
      PARLEY_ALERT_WEBHOOK_SECRET: `whsec_${secret.toString('base64')}`,
      PARLEY_ALERT_SMTP_URL: `smtp://localhost:${mail.port}`,
      PARLEY_ALERT_SMTP_FROM: 'parley@chat.example',
      PARLEY_ALERT_SMTP_TO: 'ops@chat.example',
      PARLEY_EGRESS_PRIVATE: '127.0.0.1',
    },
  })
  for (const percent of [70, 85, 95]) {
    const budget = { scope: 'user:tenant-1:person-1', spentUsd: percent / 10, limitUsd: 10 }
    events?.emit('budget.reached', { tenant: 'tenant-1', percent, ...budget, at: Date.now() })
  }
  while (hook.requests.length < 2 || mail.mails.length < 1) await setTimeout(10)

  const posted = hook.requests.map(({ headers, body }) => {
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
    assert.equal(headers['webhook-signature'], `v1,${createHmac('sha256', secret).update(signed).digest('base64')}`)
    return JSON.parse(body).severity
  })
  assert.deepEqual(posted.sort(), ['critical', 'warning'])
  const [{ source = '' } = {}] = mail.mails
  assert.match(source, /^Subject: \[Parley\] critical: 95 % of a budget are spent\r$/m)
  const told = lines.filter(({ msg }) => msg === 'An alert was raised')
  assert.deepEqual(
    told.map(({ severity, level }) => [severity, level]),
    [
      ['info', 30],
      ['critical', 50],
    ],
  )
  for (const text of [JSON.stringify(lines), JSON.stringify(hook.requests), source])
    assert.doesNotMatch(text, /person-1/)

  const sum = async (name: string) => {
    const { samples } = parseMetrics(await (await fetch(`${app.url}/metrics`)).text())
    return samples
      .get(name)
      ?.map(({ labels, value }) => `${labels?.severity ?? labels?.channel} ${labels?.kind ?? labels?.outcome} ${value}`)
      .sort()
  }
  assert.deepEqual(await sum('parley_alerts_total'), [
    'critical budget.reached 1',
    'info budget.reached 1',
    'warning budget.reached 1',
  ])
  while ((await sum('parley_alert_deliveries_total'))?.length !== 2) await setTimeout(10)
  assert.deepEqual(await sum('parley_alert_deliveries_total'), ['email delivered 1', 'webhook delivered 2'])
})
