import { type Logger, pino } from 'pino'

export type Log = Logger

/**
 * Structured logs on stdout. Messages are static sentences, facts go into fields; never the content of messages,
 * arguments or documents, and never a query string.
 */
export function createLog(level: string): Log {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: ['*.authorization', '*.password', '*.apiKey', '*.secret', '*.token'], censor: '[redacted]' },
  })
}
