import type { Operation } from '#platform/kv/kv.ts'
import { bytes, integer, text } from './reply.ts'

/**
 * Opens a turn: at most one lives in a conversation, and an Idempotency-Key names one turn.
 * KEYS turn, idempotency, log, [conversation record, messages, index]
 * ARGV turn id, owner, lease ms, sealed input, turn ttl ms, body hash ('' = no key), idempotency ttl ms, conversation ttl ms,
 *      sealed first event, log ttl ms
 */
export type OpenResult =
  | { kind: 'opened' }
  | { kind: 'replayed'; turn: string }
  | { kind: 'mismatch' }
  | { kind: 'busy'; turn: string }
  | { kind: 'gone' }

export const openTurn: Operation<OpenResult> = {
  name: 'turn.open',
  lua: `
    if ARGV[6] ~= '' then
      local seen = redis.call('HMGET', KEYS[2], 'turn', 'hash')
      if seen[1] then
        if seen[2] == ARGV[6] then return {1, seen[1]} end
        return {2}
      end
    end
    if KEYS[4] then
      if redis.call('EXISTS', KEYS[4]) == 0 then return {4} end
      local live = redis.call('HGET', KEYS[4], 'live')
      if live and live ~= '' then return {3, live} end
      redis.call('HSET', KEYS[4], 'live', ARGV[1])
      for k = 4, 6 do redis.call('PEXPIRE', KEYS[k], ARGV[8]) end
    end
    if ARGV[6] ~= '' then
      redis.call('HSET', KEYS[2], 'turn', ARGV[1], 'hash', ARGV[6])
      redis.call('PEXPIRE', KEYS[2], ARGV[7])
    end
    redis.call('HSET', KEYS[1], 'state', 'live', 'fence', 1, 'owner', ARGV[2], 'top', 0,
      'lease', now_ms() + tonumber(ARGV[3]), 'input', ARGV[4])
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
    log_append(KEYS[3], 0, ARGV[9])
    redis.call('PEXPIRE', KEYS[3], ARGV[10])
    return {0}`,
  twin: (step, [turn, idempotency, log, record, ...others], args) => {
    if (!turn || !idempotency || !log) throw new RangeError('turn.open needs three keys or six')
    const [id, owner, leaseMs, input, ttlMs, hash, idempotencyTtlMs, conversationTtlMs] = args
    const [event, logTtlMs] = args.slice(8)
    if (text(hash) !== '') {
      const seen = step.get(idempotency, 'turn')
      if (seen) return step.get(idempotency, 'hash')?.toString() === text(hash) ? [1, seen] : [2]
    }
    if (record) {
      if (!step.exists(record)) return [4]
      const live = step.get(record, 'live')
      if (live && live.length > 0) return [3, live]
      step.set(record, { live: text(id) })
      for (const key of [record, ...others]) step.expire(key, integer(conversationTtlMs))
    }
    if (text(hash) !== '') {
      step.set(idempotency, { turn: text(id), hash: text(hash) })
      step.expire(idempotency, integer(idempotencyTtlMs))
    }
    const lease = step.now + integer(leaseMs)
    step.set(turn, { state: 'live', fence: 1, owner: text(owner), top: 0, lease, input: bytes(input) })
    step.expire(turn, integer(ttlMs))
    step.append(log, 0, bytes(event))
    step.expire(log, integer(logTtlMs))
    return [0]
  },
  decode: ([kind, turn]) => {
    if (kind === 0) return { kind: 'opened' }
    if (kind === 1) return { kind: 'replayed', turn: String(turn) }
    if (kind === 2) return { kind: 'mismatch' }
    if (kind === 3) return { kind: 'busy', turn: String(turn) }
    return { kind: 'gone' }
  },
}
