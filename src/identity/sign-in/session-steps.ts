import type { Key, Operation } from '#platform/kv/kv.ts'

/**
 * Begins a session, and enters it among those of its person; those of which the time is over go.
 * KEYS session, sessions of the person · ARGV value, ms it may live, its name among them, now, over when begun until then,
 * ms that any may live
 */
export const openSession: Operation<void> = {
  name: 'sign-in.open',
  lua: `
    redis.call('HSET', KEYS[1], 'd', ARGV[1], 'v', 1)
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    for _, name in ipairs(redis.call('ZRANGE', KEYS[2], '-inf', ARGV[5], 'BYSCORE', 'LIMIT', 0, 1000)) do
      redis.call('ZREM', KEYS[2], name)
    end
    redis.call('ZADD', KEYS[2], ARGV[4], ARGV[3])
    redis.call('PEXPIRE', KEYS[2], ARGV[6])
    return {}`,
  twin: (step, [session, sessions], [value = '', ttlMs, name, now, over, anyMs]) => {
    if (!session || !sessions) throw new RangeError('sign-in.open needs two keys')
    step.set(session, { d: value, v: 1 })
    step.expire(session, Number(ttlMs))
    for (const { member } of step.below(sessions, Number(over), 1000)) step.remove(sessions, member)
    step.add(sessions, String(name), Number(now))
    step.expire(sessions, Number(anyMs))
    return []
  },
  decode: () => undefined,
}

/**
 * Ends a session, and tells whoever watches it.
 * KEYS session, sessions of the person · ARGV its name among them
 */
export const endSession: Operation<void> = {
  name: 'sign-in.end',
  lua: `
    redis.call('ZREM', KEYS[2], ARGV[1])
    if redis.call('DEL', KEYS[1]) == 1 then signal(KEYS[1], '') end
    return {}`,
  twin: (step, [session, sessions], [name]) => {
    if (!session || !sessions) throw new RangeError('sign-in.end needs two keys')
    step.remove(sessions, String(name))
    if (step.delete(session)) step.signal(session, '')
    return []
  },
  decode: () => undefined,
}

const AT_ONCE = 1000

/**
 * Ends up to a thousand sessions of a person, the newest first; answers how many it looked at and how many of them were still on.
 * KEYS sessions of the person · ARGV what their keys begin with
 */
export const endSessions: Operation<{ isAll: boolean; ended: number }> = {
  name: 'sign-in.end-all',
  lua: `
    local names = redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', '-inf', 'LIMIT', 0, ${AT_ONCE})
    local ended = 0
    for _, name in ipairs(names) do
      redis.call('ZREM', KEYS[1], name)
      if redis.call('DEL', ARGV[1] .. name) == 1 then
        ended = ended + 1
        signal(ARGV[1] .. name, '')
      end
    end
    return {#names, ended}`,
  twin: (step, [sessions], [prefix]) => {
    if (!sessions) throw new RangeError('sign-in.end-all needs a key')
    const found = step.highest(sessions, undefined, AT_ONCE)
    let ended = 0
    for (const { member } of found) {
      step.remove(sessions, member)
      const session = `${prefix}${member}` as Key
      if (!step.delete(session)) continue
      ended += 1
      step.signal(session, '')
    }
    return [found.length, ended]
  },
  decode: ([seen, ended]) => ({ isAll: Number(seen) < AT_ONCE, ended: Number(ended) }),
}

/** KEYS session */
export const isSessionOn: Operation<boolean> = {
  name: 'sign-in.is-on',
  lua: `return {redis.call('EXISTS', KEYS[1])}`,
  twin: (step, [session]) => {
    if (!session) throw new RangeError('sign-in.is-on needs a key')
    return [step.exists(session) ? 1 : 0]
  },
  decode: ([on]) => on === 1,
}
