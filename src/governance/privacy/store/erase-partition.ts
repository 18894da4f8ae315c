import type { Key, Operation } from '#platform/kv/kv.ts'

export interface ErasedPart {
  /** Where to go on; undefined at the end. */
  next: string | undefined
  erased: number
}

/**
 * Deletes some of what is kept in the partition of a key, but for that key itself; the rest is for the steps that follow. Redis
 * looks through all keys of the server for it, which is slow and rare.
 * KEYS any key of the partition, which stays · ARGV where to go on ('' = from the start), how many to look at, pattern of the partition
 */
export const erasePartition: Operation<ErasedPart> = {
  name: 'privacy.erase-partition',
  lua: `
    local from = ARGV[1] == '' and '0' or ARGV[1]
    local found = redis.call('SCAN', from, 'MATCH', ARGV[3], 'COUNT', ARGV[2])
    local erased = 0
    for _, name in ipairs(found[2]) do
      if name ~= KEYS[1] then erased = erased + redis.call('UNLINK', name) end
    end
    return {found[1] ~= '0' and found[1], erased}`,
  twin: (step, [stays], [after, limit]) => {
    if (!stays) throw new RangeError('privacy.erase-partition needs a key')
    const found = step.beside(stays, String(after), Number(limit))
    let erased = 0
    for (const name of found) if (name !== stays && step.delete(name)) erased += 1
    const last = found.at(-1)
    return [last && found.length === Number(limit) ? Buffer.from(last) : null, erased]
  },
  decode: ([next, erased]) => ({ next: Buffer.isBuffer(next) ? next.toString() : undefined, erased: Number(erased) }),
}

export function patternOf(key: Key): string {
  return `${key.slice(0, key.indexOf('}') + 1)}*`
}
