import type { Operation } from '#platform/kv/kv.ts'
import { bytes, field, integer, text } from './reply.ts'

/**
 * Ends a turn in one step: its last events with the terminal one, the outcome with its receipt, the messages of the
 * conversation. Whoever holds the fence may do it once; again, it answers the same.
 * KEYS turn, log, [conversation record, messages, index]
 * ARGV fence, position of the first event, of the terminal one, sealed events, sealed outcome, log ttl ms, turn ttl ms,
 *      turn id, conversation id, position for the messages, sealed messages, their number, sealed title ('' = keep),
 *      conversation ttl ms
 */
export type CommitResult = 'committed' | 'refused' | 'gap' | 'moved' | 'gone'

export const commitTurn: Operation<CommitResult> = {
  name: 'turn.commit',
  lua: `
    local turn = redis.call('HMGET', KEYS[1], 'fence', 'state', 'top')
    if not turn[2] then return {4} end
    if turn[1] ~= ARGV[1] then return {1} end
    if turn[2] ~= 'live' then return {0} end
    if tonumber(turn[3]) + 1 ~= tonumber(ARGV[2]) then return {2} end
    local kept = KEYS[3] and redis.call('HGET', KEYS[3], 'live') == ARGV[8]
    if kept and log_top(KEYS[4]) + 1 ~= tonumber(ARGV[10]) then return {3} end
    log_append(KEYS[2], tonumber(ARGV[3]), ARGV[4])
    redis.call('PEXPIRE', KEYS[2], ARGV[6])
    redis.call('HSET', KEYS[1], 'state', 'done', 'top', ARGV[3], 'end', ARGV[5])
    redis.call('PEXPIRE', KEYS[1], ARGV[7])
    if kept then
      local now = now_ms()
      log_append(KEYS[4], tonumber(ARGV[10]), ARGV[11])
      redis.call('HINCRBY', KEYS[3], 'messages', ARGV[12])
      redis.call('HINCRBY', KEYS[3], 'version', 1)
      redis.call('HSET', KEYS[3], 'live', '', 'updatedAt', now)
      if ARGV[13] ~= '' and (redis.call('HGET', KEYS[3], 'title') or '') == '' then
        redis.call('HSET', KEYS[3], 'title', ARGV[13])
      end
      redis.call('ZADD', KEYS[5], now, ARGV[9])
      for k = 3, 5 do redis.call('PEXPIRE', KEYS[k], ARGV[14]) end
    end
    signal(KEYS[2], '')
    return {0}`,
  twin: (step, [turn, log, record, messages, index], args) => {
    if (!turn || !log) throw new RangeError('turn.commit needs two keys or five')
    const [fence, first, last, events, outcome, logTtlMs, turnTtlMs, id, conversation] = args
    const [at, body, count, title, ttlMs] = args.slice(9)
    if (!step.get(turn, 'state')) return [4]
    if (field(step.get(turn, 'fence')) !== integer(fence)) return [1]
    if (step.get(turn, 'state')?.toString() !== 'live') return [0]
    if (field(step.get(turn, 'top')) + 1 !== integer(first)) return [2]
    const kept = record !== undefined && step.get(record, 'live')?.toString() === text(id)
    if (kept && messages && step.top(messages) + 1 !== integer(at)) return [3]
    step.append(log, integer(last), bytes(events))
    step.expire(log, integer(logTtlMs))
    step.set(turn, { state: 'done', top: integer(last), end: bytes(outcome) })
    step.expire(turn, integer(turnTtlMs))
    if (kept && messages && index) {
      step.append(messages, integer(at), bytes(body))
      step.increment(record, 'messages', integer(count))
      step.increment(record, 'version', 1)
      step.set(record, { live: '', updatedAt: step.now })
      if (bytes(title).length > 0 && !step.get(record, 'title')?.length) step.set(record, { title: bytes(title) })
      step.add(index, text(conversation), step.now)
      for (const key of [record, messages, index]) step.expire(key, integer(ttlMs))
    }
    step.signal(log, '')
    return [0]
  },
  decode: ([kind]) => (['committed', 'refused', 'gap', 'moved', 'gone'] as const)[Number(kind)] ?? 'refused',
}
