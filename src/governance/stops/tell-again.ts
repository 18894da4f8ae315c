import type { Operation } from '#platform/kv/kv.ts'

/**
 * Puts back what the store once had, under its version of then, unless it has that or a later one.
 * KEYS value · ARGV bytes, version
 */
export const tellAgain: Operation<void> = {
  name: 'stops.tell-again',
  lua: `
    if tonumber(redis.call('HGET', KEYS[1], 'v') or 0) < tonumber(ARGV[2]) then
      redis.call('HSET', KEYS[1], 'd', ARGV[1], 'v', ARGV[2])
    end
    return {}`,
  twin: (step, [value], [bytes, version]) => {
    if (!value || bytes === undefined) throw new RangeError('stops.tell-again needs a key and bytes')
    if (Number(step.get(value, 'v') ?? 0) < Number(version)) step.set(value, { d: bytes, v: Number(version) })
    return []
  },
  decode: () => undefined,
}
