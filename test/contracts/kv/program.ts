import type { Key, Operation, Reply, Step } from '#platform/kv/kv.ts'

/** One step of a program: which key of the operation, and what to do with it. `value` is the number of an argument. */
export type ProgramStep =
  | { do: 'exists' | 'delete' | 'persist' | 'top' | 'count'; key: number }
  | { do: 'expire'; key: number; ttlMs: number }
  | { do: 'get' | 'unset'; key: number; field: string }
  | { do: 'set'; key: number; field: string; value: number }
  | { do: 'increment'; key: number; field: string; by: number }
  | { do: 'append'; key: number; position: number; value: number }
  | { do: 'read'; key: number; after: number; limit: number }
  | { do: 'add'; key: number; member: string; score: number }
  | { do: 'remove'; key: number; member: string }
  | { do: 'below'; key: number; maxScore: number; limit: number }
  | { do: 'highest'; key: number; below: number | null; limit: number }

/**
 * An operation that runs any program: its steps as JSON in the first argument, then the values. It answers all that the
 * steps answer, so that Lua and twin can be compared in everything a step can do.
 */
export const program: Operation<Reply> = {
  name: 'test.program',
  lua: `
    local out = {}
    local function say(value) out[#out + 1] = value end
    local function flag(value) if value then say(1) else say(0) end end
    for _, step in ipairs(cjson.decode(ARGV[1])) do
      local key, what = KEYS[step.key + 1], step['do']
      if what == 'exists' then say(redis.call('EXISTS', key))
      elseif what == 'delete' then say(redis.call('DEL', key))
      elseif what == 'persist' then redis.call('PERSIST', key)
      elseif what == 'expire' then redis.call('PEXPIRE', key, step.ttlMs)
      elseif what == 'get' then say(redis.call('HGET', key, step.field))
      elseif what == 'set' then redis.call('HSET', key, step.field, ARGV[step.value + 2])
      elseif what == 'unset' then redis.call('HDEL', key, step.field)
      elseif what == 'increment' then say(redis.call('HINCRBY', key, step.field, step.by))
      elseif what == 'append' then flag(log_append(key, step.position, ARGV[step.value + 2]))
      elseif what == 'top' then say(log_top(key))
      elseif what == 'read' then for _, value in ipairs(log_read(key, step.after, step.limit)) do say(value) end
      elseif what == 'add' then redis.call('ZADD', key, step.score, step.member)
      elseif what == 'remove' then say(redis.call('ZREM', key, step.member))
      elseif what == 'count' then say(redis.call('ZCARD', key))
      elseif what == 'below' then
        local found = redis.call('ZRANGE', key, '-inf', step.maxScore, 'BYSCORE', 'LIMIT', 0, step.limit, 'WITHSCORES')
        for _, value in ipairs(found) do say(value) end
      else
        local from = step.below == cjson.null and '+inf' or '(' .. string.format('%.0f', step.below)
        local found = redis.call('ZREVRANGEBYSCORE', key, from, '-inf', 'WITHSCORES', 'LIMIT', 0, step.limit)
        for _, value in ipairs(found) do say(value) end
      end
    end
    return out`,
  twin: (step, keys, [steps, ...values]) => {
    const out: (number | Buffer | null)[] = []
    for (const each of JSON.parse(String(steps)) as ProgramStep[]) {
      const key = keys[each.key]
      if (!key) throw new RangeError('a step without its key')
      out.push(...runStep(step, key, each, values))
    }
    return out
  },
  decode: (reply) => reply,
}

function runStep(step: Step, key: Key, each: ProgramStep, values: readonly unknown[]): (number | Buffer | null)[] {
  switch (each.do) {
    case 'exists':
      return [step.exists(key) ? 1 : 0]
    case 'delete':
      return [step.delete(key) ? 1 : 0]
    case 'persist':
      step.persist(key)
      return []
    case 'expire':
      step.expire(key, each.ttlMs)
      return []
    case 'get':
      return [step.get(key, each.field) ?? null]
    case 'set':
      step.set(key, { [each.field]: values[each.value] as Uint8Array })
      return []
    case 'unset':
      step.unset(key, each.field)
      return []
    case 'increment':
      return [step.increment(key, each.field, each.by)]
    case 'append':
      return [step.append(key, each.position, values[each.value] as Uint8Array) ? 1 : 0]
    case 'top':
      return [step.top(key)]
    case 'read':
      return step.read(key, each.after, each.limit).flatMap(({ position, body }) => [position, body])
    case 'add':
      step.add(key, each.member, each.score)
      return []
    case 'remove':
      return [step.remove(key, each.member) ? 1 : 0]
    case 'count':
      return [step.count(key)]
    case 'below':
      return step.below(key, each.maxScore, each.limit).flatMap(members)
    case 'highest':
      return step.highest(key, each.below ?? undefined, each.limit).flatMap(members)
  }
}

/** Redis gives scores as text. */
function members({ member, score }: { member: string; score: number }): Buffer[] {
  return [Buffer.from(member), Buffer.from(String(score))]
}

export function steps(...run: ProgramStep[]): string {
  return JSON.stringify(run)
}
