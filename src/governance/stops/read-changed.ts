import type { Operation, Versioned } from '#platform/kv/kv.ts'

/**
 * A value, undefined where there is none; `same` where it is of the version and of the length that are known already.
 * KEYS value · ARGV version, bytes
 */
export const readChanged: Operation<Versioned | 'same' | undefined> = {
  name: 'stops.read-changed',
  lua: `
    local version = redis.call('HGET', KEYS[1], 'v')
    if version == ARGV[1] and redis.call('HSTRLEN', KEYS[1], 'd') == tonumber(ARGV[2]) then return {1} end
    return {0, redis.call('HGET', KEYS[1], 'd'), version}`,
  twin: (step, [value], [known, length]) => {
    if (!value) throw new RangeError('stops.read-changed needs a key')
    const [bytes, version] = [step.get(value, 'd'), step.get(value, 'v')]
    if (version && Number(version) === Number(known) && bytes?.length === Number(length)) return [1]
    return [0, bytes ?? null, version ?? null]
  },
  decode([isSame, value, version]) {
    if (isSame === 1) return 'same'
    return Buffer.isBuffer(value) ? { value, version: Number(version) } : undefined
  },
}
