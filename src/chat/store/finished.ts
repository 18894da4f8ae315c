import type { Operation } from '#platform/kv/kv.ts'

/** The record of a turn that has ended. */
export interface FinishedRecord {
  fence: number
  input: Buffer
  outcome: Buffer
  feedback: Buffer | undefined
}

/** KEYS turn · Nothing while it runs, or when its record is gone. */
export const loadFinished: Operation<FinishedRecord | undefined> = {
  name: 'turn.load-finished',
  lua: `
    local turn = redis.call('HMGET', KEYS[1], 'state', 'fence', 'input', 'end', 'feedback')
    if turn[1] ~= 'done' then return {} end
    return {tonumber(turn[2]), turn[3], turn[4], turn[5]}`,
  twin: (step, [turn]) => {
    if (!turn) throw new RangeError('turn.load-finished needs a key')
    if (step.get(turn, 'state')?.toString() !== 'done') return []
    const get = (name: string) => step.get(turn, name) ?? null
    return [Number(get('fence')), get('input'), get('end'), get('feedback')]
  },
  decode: ([fence, input, outcome, judged]) => {
    if (!Buffer.isBuffer(input) || !Buffer.isBuffer(outcome)) return undefined
    return { fence: Number(fence), input, outcome, feedback: Buffer.isBuffer(judged) ? judged : undefined }
  },
}
