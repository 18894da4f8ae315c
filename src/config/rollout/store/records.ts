import type { Operation } from '#platform/kv/kv.ts'
import { count, text } from './arguments.ts'

/**
 * Lays the counters of a rollout down before it begins: who finds them without this mark knows that they were lost.
 * KEYS counts · ARGV ttl ms. Answers the store's time.
 */
export const beginCounters: Operation<number> = {
  name: 'rollout.begin',
  lua: `
    local now = now_ms()
    redis.call('HSETNX', KEYS[1], 'began', now)
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    return {now}`,
  twin: (step, [counts], [ttlMs]) => {
    if (!counts) throw new RangeError('rollout.begin needs a key')
    if (!step.get(counts, 'began')) step.set(counts, { began: step.now })
    step.expire(counts, Number(ttlMs))
    return [step.now]
  },
  decode: ([now]) => Number(now),
}

/**
 * Reads fields of the counters, 0 where there is none, and keeps them from expiring.
 * KEYS counts · ARGV ttl ms, fields…
 */
export const readCounters: Operation<{ now: number; values: number[] }> = {
  name: 'rollout.read',
  lua: `
    local reply = {now_ms()}
    for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 2))) do reply[i + 1] = tonumber(value or 0) end
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    return reply`,
  twin: (step, [counts], [ttlMs, ...fields]) => {
    if (!counts) throw new RangeError('rollout.read needs a key')
    const values = fields.map((field) => count(step.get(counts, text(field))))
    step.expire(counts, Number(ttlMs))
    return [step.now, ...values]
  },
  decode: ([now, ...values]) => ({ now: Number(now), values: values.map(Number) }),
}

/** KEYS record · ARGV ttl ms, for each field: its name, what is added. */
export const addTo: Operation<void> = {
  name: 'rollout.add',
  patient: true,
  lua: `
    for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
    redis.call('PEXPIRE', KEYS[1], ARGV[1])
    return {}`,
  twin: (step, [record], [ttlMs, ...fields]) => {
    if (!record) throw new RangeError('rollout.add needs a key')
    for (let at = 0; at < fields.length; at += 2) step.increment(record, text(fields[at]), Number(fields[at + 1]))
    step.expire(record, Number(ttlMs))
    return []
  },
  decode: () => undefined,
}

/** KEYS records… · ARGV fields… Answers each field's sum over all records. */
export const sumOf: Operation<number[]> = {
  name: 'rollout.sum',
  lua: `
    local sums = {}
    for i = 1, #ARGV do sums[i] = 0 end
    for _, record in ipairs(KEYS) do
      if redis.call('EXISTS', record) == 1 then
        for i, value in ipairs(redis.call('HMGET', record, unpack(ARGV))) do sums[i] = sums[i] + tonumber(value or 0) end
      end
    end
    return sums`,
  twin: (step, records, fields) =>
    fields.map((field) => records.reduce((sum, record) => sum + count(step.get(record, text(field))), 0)),
  decode: (reply) => reply.map(Number),
}

/**
 * Keeps the newest of what is offered, as a plain value whose version is its epoch.
 * KEYS value · ARGV epoch, body
 */
export const keepNewest: Operation<void> = {
  name: 'rollout.keep-newest',
  lua: `
    if tonumber(redis.call('HGET', KEYS[1], 'v') or 0) < tonumber(ARGV[1]) then
      redis.call('HSET', KEYS[1], 'v', ARGV[1], 'd', ARGV[2])
    end
    return {}`,
  twin: (step, [value], [epoch, body]) => {
    if (!value) throw new RangeError('rollout.keep-newest needs a key')
    if (count(step.get(value, 'v')) < Number(epoch)) step.set(value, { v: Number(epoch), d: body ?? '' })
    return []
  },
  decode: () => undefined,
}
