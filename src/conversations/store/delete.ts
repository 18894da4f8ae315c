import type { Operation } from '#platform/kv/kv.ts'

/**
 * The conversation and its messages; whether there was one.
 * KEYS record, messages, index · ARGV id
 */
export const deleteConversation: Operation<boolean> = {
  name: 'conversation.delete',
  lua: `
    local deleted = redis.call('UNLINK', KEYS[1])
    redis.call('UNLINK', KEYS[2])
    redis.call('ZREM', KEYS[3], ARGV[1])
    return {deleted}`,
  twin: (step, [record, messages, index], [id]) => {
    if (!record || !messages || !index) throw new RangeError('conversation.delete needs three keys')
    const deleted = step.delete(record)
    step.delete(messages)
    step.remove(index, String(id))
    return [deleted ? 1 : 0]
  },
  decode: ([deleted]) => deleted === 1,
}
