import type { Operation } from '#platform/kv/kv.ts'
import { bytes } from './reply.ts'

/**
 * Notes that a turn is to stop; its producer hears of it by signal, or with its next append or renewal.
 * KEYS turn
 */
export type CancelResult = { kind: 'noted'; owner: string } | { kind: 'done' } | { kind: 'gone' }

export const cancelTurn: Operation<CancelResult> = {
  name: 'turn.cancel',
  lua: `
    local turn = redis.call('HMGET', KEYS[1], 'state', 'owner')
    if not turn[1] then return {2} end
    if turn[1] ~= 'live' then return {1} end
    redis.call('HSET', KEYS[1], 'cancel', 1)
    return {0, turn[2]}`,
  twin: (step, [turn]) => {
    if (!turn) throw new RangeError('turn.cancel needs a key')
    const state = step.get(turn, 'state')?.toString()
    if (!state) return [2]
    if (state !== 'live') return [1]
    step.set(turn, { cancel: 1 })
    return [0, step.get(turn, 'owner') ?? null]
  },
  decode: ([kind, owner]) =>
    kind === 0 ? { kind: 'noted', owner: String(owner) } : kind === 1 ? { kind: 'done' } : { kind: 'gone' },
}

/**
 * Keeps what the reader thought of a finished turn; the last word counts.
 * KEYS turn · ARGV sealed feedback
 */
export type FeedbackResult = { kind: 'noted'; input: Buffer } | { kind: 'running' } | { kind: 'gone' }

export const noteFeedback: Operation<FeedbackResult> = {
  name: 'turn.feedback',
  lua: `
    local turn = redis.call('HMGET', KEYS[1], 'state', 'input')
    if not turn[1] then return {2} end
    if turn[1] == 'live' then return {1} end
    redis.call('HSET', KEYS[1], 'feedback', ARGV[1])
    return {0, turn[2]}`,
  twin: (step, [turn], [feedback]) => {
    if (!turn) throw new RangeError('turn.feedback needs a key')
    const state = step.get(turn, 'state')?.toString()
    if (!state) return [2]
    if (state === 'live') return [1]
    step.set(turn, { feedback: bytes(feedback) })
    return [0, step.get(turn, 'input') ?? null]
  },
  decode: ([kind, input]) => {
    if (kind === 0 && Buffer.isBuffer(input)) return { kind: 'noted', input }
    return kind === 1 ? { kind: 'running' } : { kind: 'gone' }
  },
}

/**
 * A turn as it stands.
 * KEYS turn
 */
export type TurnRecord = {
  state: 'live' | 'done'
  owner: string
  top: number
  /** How much longer its producer holds it; 0 or less: nobody does. */
  leaseLeftMs: number
  input: Buffer
  end: Buffer | undefined
  feedback: Buffer | undefined
}

export const loadTurn: Operation<TurnRecord | undefined> = {
  name: 'turn.load',
  lua: `
    local turn = redis.call('HMGET', KEYS[1], 'state', 'owner', 'top', 'lease', 'input', 'end', 'feedback')
    if not turn[1] then return {} end
    return {turn[1], turn[2], tonumber(turn[3]), tonumber(turn[4]) - now_ms(), turn[5], turn[6], turn[7]}`,
  twin: (step, [turn]) => {
    if (!turn) throw new RangeError('turn.load needs a key')
    const get = (name: string) => step.get(turn, name) ?? null
    if (!get('state')) return []
    const leaseLeftMs = Number(get('lease')) - step.now
    return [get('state'), get('owner'), Number(get('top')), leaseLeftMs, get('input'), get('end'), get('feedback')]
  },
  decode: ([state, owner, top, leaseLeftMs, input, end, feedback]) =>
    Buffer.isBuffer(state) && Buffer.isBuffer(input)
      ? {
          state: state.toString() === 'live' ? 'live' : 'done',
          owner: String(owner),
          top: Number(top),
          leaseLeftMs: Number(leaseLeftMs),
          input,
          end: Buffer.isBuffer(end) ? end : undefined,
          feedback: Buffer.isBuffer(feedback) ? feedback : undefined,
        }
      : undefined,
}
