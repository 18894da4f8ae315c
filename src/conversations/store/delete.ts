import type { Operation } from '#platform/kv/kv.ts'

/**
 * The conversation and its messages; undefined where there was none, else the turn that lived in it.
 * KEYS record, messages, index · ARGV id
 */
export const deleteConversation: Operation<{ liveTurn: string | null } | undefined> = {
  name: 'conversation.delete',
  lua: `
    local live = redis.call('HGET', KEYS[1], 'live')
    local deleted = redis.call('UNLINK', KEYS[1])
    redis.call('UNLINK', KEYS[2])
    redis.call('ZREM', KEYS[3], ARGV[1])
    return {deleted, live}`,
  twin: (step, [record, messages, index], [id]) => {
    if (!record || !messages || !index) throw new RangeError('conversation.delete needs three keys')
    const live = step.get(record, 'live') ?? null
    const deleted = step.delete(record)
    step.delete(messages)
    step.remove(index, String(id))
    return [deleted ? 1 : 0, live]
  },
  decode: ([deleted, live]) => (deleted === 1 ? { liveTurn: live ? String(live) || null : null } : undefined),
}
