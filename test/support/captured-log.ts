import { pino } from 'pino'
import type { Log } from '#log.ts'

/** A log whose lines can be looked at: level 30 is info, 40 warn, 50 error. */
export function capturedLog(): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'trace', base: null, timestamp: false }, { write: (line) => lines.push(JSON.parse(line)) })
  return { log, lines }
}
