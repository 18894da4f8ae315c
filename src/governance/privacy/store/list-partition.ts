import type { Operation } from '#platform/kv/kv.ts'

export interface ListedPart {
  /** Where to go on; undefined at the end. */
  next: string | undefined
  /** Keys; some may come twice. */
  keys: string[]
}

/**
 * Some of the keys in a partition.
 * KEYS any key of the partition · ARGV where to go on ('' = from the start), how many to look at, pattern of the partition
 */
export const listPartition: Operation<ListedPart> = {
  name: 'privacy.list-partition',
  lua: `
    local from = ARGV[1] == '' and '0' or ARGV[1]
    local found = redis.call('SCAN', from, 'MATCH', ARGV[3], 'COUNT', ARGV[2])
    return {found[1] ~= '0' and found[1], unpack(found[2])}`,
  twin: (step, [anywhere], [after, limit]) => {
    if (!anywhere) throw new RangeError('privacy.list-partition needs a key')
    const found = step.beside(anywhere, String(after), Number(limit))
    const last = found.length === Number(limit) ? found.at(-1) : undefined
    return [last ? Buffer.from(last) : null, ...found.map((name) => Buffer.from(name))]
  },
  decode: ([next, ...keys]) => ({
    next: Buffer.isBuffer(next) ? next.toString() : undefined,
    keys: keys.map(String),
  }),
}
