import type { LogEntry, Operation } from '#platform/kv/kv.ts'
import { field, integer } from './reply.ts'

export interface HistoryPage {
  entries: LogEntry[]
  /** How many messages there are by the conversation's record; none where that is gone. */
  messages: number
}

/** KEYS conversation record, messages · ARGV after, limit */
export const readHistory: Operation<HistoryPage> = {
  name: 'turn.history',
  lua: `
    local messages = tonumber(redis.call('HGET', KEYS[1], 'messages') or 0)
    return {messages, unpack(log_read(KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])))}`,
  twin: (step, [record, messages], [after, limit]) => {
    if (!record || !messages) throw new RangeError('turn.history needs two keys')
    const entries = step.read(messages, integer(after), integer(limit))
    return [field(step.get(record, 'messages')) || 0, ...entries.flatMap(({ position, body }) => [position, body])]
  },
  decode: ([messages, ...flat]) => {
    const entries: LogEntry[] = []
    for (let at = 0; at < flat.length; at += 2) {
      const body = flat[at + 1]
      if (Buffer.isBuffer(body)) entries.push({ position: Number(flat[at]), body })
    }
    return { entries, messages: Number(messages) }
  },
}
