import type { Operation } from '#platform/kv/kv.ts'

/** The record of a turn that has ended. */
export interface FinishedRecord {
  fence: number
  input: Buffer
  outcome: Buffer
}

/** KEYS turn · Nothing while it runs, or when its record is gone. */
export const loadFinished: Operation<FinishedRecord | undefined> = {
  name: 'turn.load-finished',
  lua: `
    local turn = redis.call('HMGET', KEYS[1], 'state', 'fence', 'input', 'end')
    if turn[1] ~= 'done' then return {} end
    return {tonumber(turn[2]), turn[3], turn[4]}`,
  twin: (step, [turn]) => {
    if (!turn) throw new RangeError('turn.load-finished needs a key')
    if (step.get(turn, 'state')?.toString() !== 'done') return []
    return [Number(step.get(turn, 'fence')), step.get(turn, 'input') ?? null, step.get(turn, 'end') ?? null]
  },
  decode: ([fence, input, outcome]) =>
    Buffer.isBuffer(input) && Buffer.isBuffer(outcome) ? { fence: Number(fence), input, outcome } : undefined,
}
