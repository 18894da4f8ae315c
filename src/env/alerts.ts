import type { Reader } from './reader.ts'

const CHANNELS = ['log', 'webhook', 'email'] as const
const SEVERITIES = ['info', 'warning', 'critical'] as const

/** Who hears of what should not go unseen, such as a budget that runs out. */
export interface AlertsEnv {
  /** By severity, where it is told. */
  channels: Readonly<Record<(typeof SEVERITIES)[number], readonly (typeof CHANNELS)[number][]>>
  /** Where alerts are posted. */
  webhook: string | undefined
  /** What posts are signed with (`whsec_…`): the current one first. */
  webhookSecrets: readonly string[]
  mail: { smtpUrl: string; from: string; to: readonly string[] } | undefined
}

/** `PARLEY_ALERTS` as `severity:channel,channel` by semicolon; a severity that is left out is as it is without the variable. */
export function readAlerts(read: Reader, faults: string[]): AlertsEnv {
  const hasWebhook = read.url('PARLEY_ALERT_WEBHOOK', ['http:', 'https:']) !== undefined
  const isSecret = (text: string) => Buffer.from(text.replace(/^whsec_/, ''), 'base64').length >= 24
  if (!read.list('PARLEY_ALERT_WEBHOOK_SECRET').every(isSecret)) {
    faults.push('PARLEY_ALERT_WEBHOOK_SECRET has to be whsec_ with at least 24 bytes in base64, several by comma')
  }
  const hasMail = isMailSound(read, faults)
  const channels: Record<string, AlertsEnv['channels']['info']> = {
    info: ['log'],
    warning: ['log', ...(hasWebhook ? (['webhook'] as const) : [])],
    critical: ['log', ...(hasWebhook ? (['webhook'] as const) : []), ...(hasMail ? (['email'] as const) : [])],
  }
  for (const rule of read
    .text('PARLEY_ALERTS')
    ?.split(';')
    .filter((part) => part.trim() !== '') ?? []) {
    const [severity = '', list = ''] = rule.split(':').map((part) => part.trim())
    const named = list.split(',').map((name) => name.trim())
    const found = CHANNELS.filter((channel) => named.includes(channel))
    if (!Object.hasOwn(channels, severity) || found.length !== named.length) {
      faults.push(
        `PARLEY_ALERTS has to be severity:channel,… by semicolon (${SEVERITIES.join(', ')}; ${CHANNELS.join(', ')})`,
      )
    }
    channels[severity] = found
  }
  const told = new Set(Object.values(channels).flat())
  if (told.has('webhook') && !hasWebhook) faults.push('PARLEY_ALERTS names webhook: that needs PARLEY_ALERT_WEBHOOK')
  if (told.has('email') && !hasMail) faults.push('PARLEY_ALERTS names email: that needs PARLEY_ALERT_SMTP_URL')
  const to = read.list('PARLEY_ALERT_SMTP_TO')
  return {
    channels: channels as AlertsEnv['channels'],
    get webhook() {
      return read.text('PARLEY_ALERT_WEBHOOK')
    },
    get webhookSecrets() {
      return read.list('PARLEY_ALERT_WEBHOOK_SECRET')
    },
    get mail() {
      const smtpUrl = read.text('PARLEY_ALERT_SMTP_URL')
      return smtpUrl === undefined ? undefined : { smtpUrl, from: read.text('PARLEY_ALERT_SMTP_FROM') ?? '', to }
    },
  }
}

function isMailSound(read: Reader, faults: string[]): boolean {
  const url = read.url('PARLEY_ALERT_SMTP_URL', ['smtp:', 'smtps:'])
  const addresses = [read.text('PARLEY_ALERT_SMTP_FROM'), ...read.list('PARLEY_ALERT_SMTP_TO')]
  const isMeant = url !== undefined || addresses.some((address) => address !== undefined)
  const isSound =
    url !== undefined && addresses.length > 1 && addresses.every((one) => /^[^\s@<>,]+@[^\s@<>,]+$/.test(one ?? ''))
  if (isMeant && !isSound) {
    faults.push('Alerts by e-mail need PARLEY_ALERT_SMTP_URL, _FROM and _TO: smtp:// or smtps://, and plain addresses')
  }
  return url !== undefined
}
