import type { Arg, Key, LogEntry, Operation, Reply, Versioned } from './kv.ts'

/** The methods of the port, as operations. Arguments that are not given arrive as ''. */

export const getValue: Operation<Versioned | undefined> = {
  name: 'kv.get',
  lua: `return redis.call('HMGET', KEYS[1], 'd', 'v')`,
  twin: (step, keys) => {
    const key = only(keys)
    return [step.get(key, 'd') ?? null, step.get(key, 'v') ?? null]
  },
  decode: ([value, version]) => (Buffer.isBuffer(value) ? { value, version: Number(version) } : undefined),
}

export const putValue: Operation<number | undefined> = {
  name: 'kv.put',
  lua: `
    local version = tonumber(redis.call('HGET', KEYS[1], 'v') or 0)
    if ARGV[2] ~= '' and tonumber(ARGV[2]) ~= version then return {false} end
    redis.call('HSET', KEYS[1], 'd', ARGV[1], 'v', version + 1)
    if ARGV[3] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) else redis.call('PERSIST', KEYS[1]) end
    return {version + 1}`,
  twin: (step, keys, [value, ifVersion, ttlMs]) => {
    const key = only(keys)
    const version = Number(step.get(key, 'v') ?? 0)
    if (ifVersion !== '' && ifVersion !== version) return [null]
    step.set(key, { d: value ?? '', v: version + 1 })
    if (ttlMs === '') step.persist(key)
    else step.expire(key, Number(ttlMs))
    return [version + 1]
  },
  decode: ([version]) => (version === null ? undefined : Number(version)),
}

export const deleteKey: Operation<boolean> = {
  name: 'kv.delete',
  lua: `
    if ARGV[1] ~= '' and tonumber(ARGV[1]) ~= tonumber(redis.call('HGET', KEYS[1], 'v') or 0) then return {0} end
    return {redis.call('UNLINK', KEYS[1])}`,
  twin: (step, keys, [ifVersion]) => {
    const key = only(keys)
    if (ifVersion !== '' && ifVersion !== Number(step.get(key, 'v') ?? 0)) return [0]
    return [step.delete(key) ? 1 : 0]
  },
  decode: isTrue,
}

export const appendEntry: Operation<boolean> = {
  name: 'kv.append',
  lua: `
    if not log_append(KEYS[1], ARGV[1], ARGV[2]) then return {0} end
    if ARGV[3] ~= '' then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
    return {1}`,
  twin: (step, keys, [position, body, ttlMs]) => {
    const key = only(keys)
    if (!step.append(key, Number(position), bytesOf(body))) return [0]
    if (ttlMs !== '') step.expire(key, Number(ttlMs))
    return [1]
  },
  decode: isTrue,
}

export const readEntries: Operation<LogEntry[]> = {
  name: 'kv.read',
  lua: `return log_read(KEYS[1], ARGV[1], ARGV[2])`,
  twin: (step, keys, [after, limit]) =>
    step.read(only(keys), Number(after), Number(limit)).flatMap(({ position, body }) => [position, body]),
  decode: (reply) => {
    const entries: LogEntry[] = []
    for (let at = 0; at < reply.length; at += 2) {
      const body = reply[at + 1]
      if (Buffer.isBuffer(body)) entries.push({ position: Number(reply[at]), body })
    }
    return entries
  },
}

export const sendSignal: Operation<void> = {
  name: 'kv.signal',
  lua: `signal(KEYS[1], ARGV[1]) return {}`,
  twin: (step, keys, [payload]) => {
    step.signal(only(keys), String(payload))
    return []
  },
  decode: () => undefined,
}

function only(keys: readonly Key[]): Key {
  const [key] = keys
  if (key === undefined) throw new RangeError('This operation takes a key')
  return key
}

function bytesOf(arg: Arg | undefined): Uint8Array {
  return arg instanceof Uint8Array ? arg : Buffer.from(String(arg))
}

function isTrue([answer]: Reply): boolean {
  return answer === 1
}
