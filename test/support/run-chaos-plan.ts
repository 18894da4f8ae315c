import type { ActionSpec } from '../../src/config/action-spec.ts'
import { type Asked, TARGET_TIMEOUT_MS } from './run-ledger.ts'
import type { RunCall } from './run-worker.ts'

export type ChaosEvent = 'kill' | 'drop'

/** Of ten: done once per key · done at most once · done once per key, in the order of their conversation. */
const MIX = ['put', 'put', 'put', 'put', 'once', 'once', 'once', 'next', 'next', 'next'] as const

/** Pseudo-random numbers from 0 to 1 (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What is asked of the target, by its paths. */
export function actionsAt(host: string): Record<string, ActionSpec> {
  const parameters = {
    type: 'object',
    additionalProperties: false,
    required: ['lane', 'x'],
    properties: { lane: { type: 'string', maxLength: 20 }, x: { type: 'integer' } },
  }
  const action = (path: string, more: Partial<ActionSpec>): ActionSpec => ({
    ...{ description: `Does ${path}`, parameters, access: 'write', timeoutMs: TARGET_TIMEOUT_MS, retries: 20 },
    http: { method: 'POST', url: `http://${host}/${path}` },
    ...more,
  })
  return {
    put: action('put', { effect: 'idempotent' }),
    once: action('once', { effect: 'at-most-once' }),
    next: action('next', { effect: 'idempotent', order: 'conversation' }),
  }
}

/** The calls of each conversation, in their order; those without order are conversations of their own. */
export function planOf(runs: number, perConversation: number): RunCall[][] {
  const lanes = new Map<string, RunCall[]>()
  let ordered = 0
  for (let number = 0; number < runs; number++) {
    const action = MIX[number % MIX.length] ?? 'put'
    const isOrdered = action === 'next'
    // Several conversations go on beside each other.
    const lane = isOrdered ? `lane-${ordered++ % Math.ceil((runs * 0.3) / perConversation)}` : `run-${number}`
    const calls = lanes.getOrInsertComputed(lane, () => [])
    const asked: Asked = { lane, x: calls.length }
    const key = `${lane}/${asked.x}`
    calls.push({ key, action, conversation: lane, arguments: JSON.stringify(asked) })
  }
  return [...lanes.values()]
}

/** So many of each, shuffled. */
export function eventsOf(kills: number, drops: number, random: () => number): ChaosEvent[] {
  const kinds: ChaosEvent[] = [...Array<ChaosEvent>(kills).fill('kill'), ...Array<ChaosEvent>(drops).fill('drop')]
  return kinds
    .map((kind) => ({ kind, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ kind }) => kind)
}
