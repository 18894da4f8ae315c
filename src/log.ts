import { type DestinationStream, type Logger, pino } from 'pino'

export type Log = Logger

const SECRETS = ['authorization', 'password', 'apiKey', 'secret', 'token'] as const

/** A line alone costs a thread's wake-up; lines leave together, after this long or when there are as many bytes. */
const TOGETHER = { periodicFlush: 250, minLength: 4096 }

/**
 * Structured logs on stdout, written beside the work, the last lines before the process exits. Messages are static
 * sentences, facts go into fields; never the content of messages, arguments or documents, and never a query string.
 */
export function createLog(level: string, to: DestinationStream = pino.destination({ sync: false, ...TOGETHER })): Log {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { log: withoutSecrets } }
  return pino(options, to)
}

/** What pino's own `redact` does with wildcards costs more than the rest of a line. */
function withoutSecrets(fields: Record<string, unknown>): Record<string, unknown> {
  let shown = fields
  for (const name in fields) {
    const value = fields[name]
    if (typeof value !== 'object' || value === null) continue
    const found = SECRETS.filter((secret) => secret in value)
    if (found.length === 0) continue
    const plain = value instanceof Error ? pino.stdSerializers.err(value) : value
    shown = { ...shown, [name]: { ...plain, ...Object.fromEntries(found.map((secret) => [secret, '[redacted]'])) } }
  }
  return shown
}
