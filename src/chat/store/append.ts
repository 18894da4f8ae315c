import type { Operation } from '#platform/kv/kv.ts'
import { bytes, field, integer } from './reply.ts'

/**
 * Appends events to a turn's log under its fence, and renews the lease. Repeating it is harmless: what is in the log already
 * is acknowledged again, and a part that would leave a gap before it is not taken.
 * KEYS turn, log
 * ARGV fence, position of the first event, of the last, sealed events, lease ms
 */
export type AppendResult =
  | { kind: 'appended'; cancelled: boolean }
  /** Another holds the turn, or it has ended. */
  | { kind: 'refused' }
  | { kind: 'gap'; top: number }
  /** The store knows of no such turn any more. */
  | { kind: 'gone' }

export const appendEvents: Operation<AppendResult> = {
  name: 'turn.append',
  patient: true,
  lua: `
    local turn = redis.call('HMGET', KEYS[1], 'fence', 'state', 'top', 'cancel')
    if not turn[2] then return {3} end
    if turn[1] ~= ARGV[1] or turn[2] ~= 'live' then return {1} end
    local cancelled = turn[4] and 1 or 0
    local top = tonumber(turn[3])
    if top >= tonumber(ARGV[3]) then return {0, cancelled} end
    if top + 1 ~= tonumber(ARGV[2]) then return {2, top} end
    log_append(KEYS[2], tonumber(ARGV[3]), ARGV[4])
    redis.call('HSET', KEYS[1], 'top', ARGV[3], 'lease', now_ms() + tonumber(ARGV[5]))
    signal(KEYS[2], '')
    return {0, cancelled}`,
  twin: (step, [turn, log], [fence, first, last, body, leaseMs]) => {
    if (!turn || !log) throw new RangeError('turn.append needs two keys')
    if (!step.get(turn, 'state')) return [3]
    if (field(step.get(turn, 'fence')) !== integer(fence) || step.get(turn, 'state')?.toString() !== 'live') return [1]
    const cancelled = step.get(turn, 'cancel') ? 1 : 0
    const top = field(step.get(turn, 'top'))
    if (top >= integer(last)) return [0, cancelled]
    if (top + 1 !== integer(first)) return [2, top]
    step.append(log, integer(last), bytes(body))
    step.set(turn, { top: integer(last), lease: step.now + integer(leaseMs) })
    step.signal(log, '')
    return [0, cancelled]
  },
  decode: ([kind, value]) => {
    if (kind === 0) return { kind: 'appended', cancelled: value === 1 }
    if (kind === 2) return { kind: 'gap', top: Number(value) }
    return { kind: kind === 1 ? 'refused' : 'gone' }
  },
}
