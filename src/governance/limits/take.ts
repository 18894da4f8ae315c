import type { Key, Operation, Step } from '#platform/kv/kv.ts'
import { count, integer, text } from './arguments.ts'

export const DAY_MS = 86_400_000
const PRINCIPAL_TTL_MS = 2 * DAY_MS
const CLIENT_TTL_MS = 600_000
/** A principal has no more under way than its limit, and what lapsed is let go of in passes of so many. */
const LAPSED_AT_ONCE = 100

/** Which limit refuses; `admitted` when none does. */
export const takeKinds = ['admitted', 'first-day', 'tenant', 'client', 'principal', 'streams', 'tokens'] as const

export interface Taken {
  kind: (typeof takeKinds)[number]
  /** Until the same would be admitted. */
  waitMs: number
  /** Of the principal's requests: what is left, and until all are there again. */
  requests: { remaining: number; resetMs: number }
  /** The principal's tokens of the day, by UTC. */
  tokens: { spent: number; resetMs: number }
}

/**
 * Checks every limit of an admission and takes from each, or from none. Rates are token buckets kept as one number, the time at
 * which the bucket will be full again (the generic cell rate algorithm, ITU-T I.371): a burst of the whole limit, then as many
 * as a minute brings back. All by the store's clock; where that was set back, a bucket is full again.
 * KEYS tenant, client, principal, held
 * ARGV id, lease ms (0: nothing goes on that could be held), streams, tokens, tokens to reserve, first-day requests, then of
 *      tenant, client and principal what a request takes and what a bucket holds, µs. A limit of 0 is none.
 */
export const take: Operation<Taken> = {
  name: 'limits.take',
  lua: `
    local now = now_ms()
    local us = now * 1000
    local wait, kind, full = 0, 0, {}
    local function refuse(why, ms)
      if kind == 0 then kind, wait = why, ms end
    end
    local first = redis.call('HMGET', KEYS[1], 'first', 'begun')
    local begun = tonumber(first[1] or now)
    if tonumber(ARGV[6]) > 0 and now - begun < ${DAY_MS} and tonumber(first[2] or 0) >= tonumber(ARGV[6]) then
      refuse(1, begun + ${DAY_MS} - now)
    end
    for i = 1, 3 do
      local takes, holds = tonumber(ARGV[5 + 2 * i]), tonumber(ARGV[6 + 2 * i])
      if takes > 0 then
        local at = tonumber(redis.call('HGET', KEYS[i], 'rate') or 0)
        if at > us + 2 * holds then at = us end
        full[i] = math.max(us, at) + takes
        if full[i] - us > holds then refuse(1 + i, math.ceil((full[i] - us - holds) / 1000)) end
      end
    end
    local lapsed = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, ${LAPSED_AT_ONCE})
    for _, id in ipairs(lapsed) do
      redis.call('ZREM', KEYS[4], id)
      redis.call('HINCRBY', KEYS[3], 'reserved', -tonumber(redis.call('HGET', KEYS[3], 'h:' .. id) or 0))
      redis.call('HDEL', KEYS[3], 'h:' .. id)
    end
    if tonumber(ARGV[3]) > 0 and redis.call('ZCARD', KEYS[4]) >= tonumber(ARGV[3]) then refuse(5, 1000) end
    local day = math.floor(now / ${DAY_MS})
    local daily = redis.call('HMGET', KEYS[3], 'day', 'used', 'reserved')
    local used = tonumber(daily[1] or -1) == day and tonumber(daily[2] or 0) or 0
    local spent = used + tonumber(daily[3] or 0)
    local left = (day + 1) * ${DAY_MS} - now
    if tonumber(ARGV[4]) > 0 and spent + tonumber(ARGV[5]) > tonumber(ARGV[4]) then
      refuse(6, used + tonumber(ARGV[5]) > tonumber(ARGV[4]) and left or 1000)
    end
    if kind == 0 then
      redis.call('HSETNX', KEYS[1], 'first', now)
      if now - begun < ${DAY_MS} and tonumber(ARGV[6]) > 0 then redis.call('HINCRBY', KEYS[1], 'begun', 1) end
      for i = 1, 3 do
        if full[i] then redis.call('HSET', KEYS[i], 'rate', string.format('%.0f', full[i])) end
      end
      redis.call('HSET', KEYS[3], 'day', day, 'used', used)
      if tonumber(ARGV[2]) > 0 then
        redis.call('ZADD', KEYS[4], now + tonumber(ARGV[2]), ARGV[1])
        redis.call('HSET', KEYS[3], 'h:' .. ARGV[1], ARGV[5])
        redis.call('HINCRBY', KEYS[3], 'reserved', ARGV[5])
        redis.call('PEXPIRE', KEYS[4], ${PRINCIPAL_TTL_MS})
        spent = spent + tonumber(ARGV[5])
      end
      redis.call('PEXPIRE', KEYS[2], ${CLIENT_TTL_MS})
      redis.call('PEXPIRE', KEYS[3], ${PRINCIPAL_TTL_MS})
    elseif full[3] then
      full[3] = full[3] - tonumber(ARGV[11])
    end
    local remaining, reset = 0, 0
    if full[3] then
      remaining = math.max(0, math.floor((tonumber(ARGV[12]) - (full[3] - us)) / tonumber(ARGV[11])))
      reset = math.ceil((full[3] - us) / 1000)
    end
    return {kind, wait, remaining, reset, spent, left}`,
  twin: (step, [tenant, client, principal, held], args) => {
    if (!tenant || !client || !principal || !held) throw new RangeError('limits.take needs four keys')
    const [, leaseMs, streams, tokens, reserve, firstDay] = args.map((arg, at) => (at === 0 ? 0 : integer(arg)))
    if (leaseMs === undefined || streams === undefined || tokens === undefined) throw new RangeError('limits.take')
    if (reserve === undefined || firstDay === undefined) throw new RangeError('limits.take needs twelve arguments')
    const id = text(args[0])
    const { now } = step
    const us = now * 1000
    let kind = 0
    let waitMs = 0
    const refuse = (why: number, ms: number) => {
      if (kind === 0) [kind, waitMs] = [why, ms]
    }
    const first = step.get(tenant, 'first')
    const begun = first ? count(first) : now
    const isFirstDay = firstDay > 0 && now - begun < DAY_MS
    if (isFirstDay && count(step.get(tenant, 'begun')) >= firstDay) refuse(1, begun + DAY_MS - now)
    const full = [tenant, client, principal].map((at, index) => {
      const [takes, holds] = [integer(args[6 + 2 * index]), integer(args[7 + 2 * index])]
      if (takes === 0) return undefined
      const rate = count(step.get(at, 'rate'))
      const filled = Math.max(us, rate > us + 2 * holds ? us : rate) + takes
      if (filled - us > holds) refuse(2 + index, Math.ceil((filled - us - holds) / 1000))
      return filled
    })
    letGo(step, principal, held)
    if (streams > 0 && step.count(held) >= streams) refuse(5, 1000)
    const day = Math.floor(now / DAY_MS)
    const used = count(step.get(principal, 'day')) === day ? count(step.get(principal, 'used')) : 0
    let spent = used + count(step.get(principal, 'reserved'))
    const leftMs = (day + 1) * DAY_MS - now
    if (tokens > 0 && spent + reserve > tokens) refuse(6, used + reserve > tokens ? leftMs : 1000)
    let filled = full[2]
    if (kind === 0) {
      if (!first) step.set(tenant, { first: now })
      if (isFirstDay) step.increment(tenant, 'begun', 1)
      for (const [index, at] of [tenant, client, principal].entries()) {
        const rate = full[index]
        if (rate !== undefined) step.set(at, { rate })
      }
      step.set(principal, { day, used })
      if (leaseMs > 0) {
        step.add(held, id, now + leaseMs)
        step.set(principal, { [`h:${id}`]: reserve })
        step.increment(principal, 'reserved', reserve)
        step.expire(held, PRINCIPAL_TTL_MS)
        spent += reserve
      }
      step.expire(client, CLIENT_TTL_MS)
      step.expire(principal, PRINCIPAL_TTL_MS)
    } else if (filled !== undefined) filled -= integer(args[10])
    if (filled === undefined) return [kind, waitMs, 0, 0, spent, leftMs]
    const remaining = Math.max(0, Math.floor((integer(args[11]) - (filled - us)) / integer(args[10])))
    return [kind, waitMs, remaining, Math.ceil((filled - us) / 1000), spent, leftMs]
  },
  decode: (reply) => {
    const [kind = 0, waitMs = 0, remaining = 0, resetMs = 0, spent = 0, leftMs = 0] = reply.map(Number)
    return {
      kind: takeKinds[kind] ?? 'principal',
      waitMs,
      requests: { remaining, resetMs },
      tokens: { spent, resetMs: leftMs },
    }
  },
}

/** What replicas held that are no more. */
function letGo(step: Step, principal: Key, held: Key): void {
  for (const { member } of step.below(held, step.now, LAPSED_AT_ONCE)) {
    step.remove(held, member)
    step.increment(principal, 'reserved', -count(step.get(principal, `h:${member}`)))
    step.unset(principal, `h:${member}`)
  }
}
