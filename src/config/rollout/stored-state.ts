import { type Static, Type } from 'typebox'
import { Value } from 'typebox/value'
import type { RolloutState, Transition } from './state.ts'

const Ref = Type.Object({ version: Type.String(), hash: Type.String() })

const Line = Type.Object({
  epoch: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  at: Type.Number(),
  from: Type.String(),
  to: Type.String(),
  by: Type.String(),
  reason: Type.String(),
})

/** What a state cannot do without; what a later release adds to it does no harm. */
const Stored = Type.Object({
  epoch: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
  stable: Ref,
  live: Type.Union([
    Type.Null(),
    Type.Object({
      id: Type.String(),
      salt: Type.String(),
      candidate: Ref,
      status: Type.Enum(['canary', 'paused', 'baking']),
      step: Type.Integer({ minimum: 0 }),
      steps: Type.Array(Type.Object({ weight: Type.Number(), conversations: Type.Number() })),
      waived: Type.Array(Type.String()),
      since: Type.Number(),
    }),
  ]),
  finished: Type.Array(Type.Object({ id: Type.String(), candidate: Ref, stable: Ref, outcome: Type.String() })),
  last: Line,
})

/** A line of the history as it is stored: with the state that it led to, so that the state can be put right from it. */
export interface StoredLine {
  line: Transition
  /** Undefined in lines of releases that did not store it. */
  state: RolloutState | undefined
}

export function encodeState(state: RolloutState): Buffer {
  return Buffer.from(JSON.stringify(state, null, 2))
}

/** Undefined where it is none. */
export function parseState(bytes: Uint8Array): RolloutState | undefined {
  return stateIn(parseJson(bytes))
}

/** Of the line that led to it. */
export function encodeLine(state: RolloutState): Buffer {
  const { last, ...rest } = state
  return Buffer.from(JSON.stringify({ ...last, state: rest }, null, 2))
}

export function parseLine(bytes: Uint8Array): StoredLine | undefined {
  const found = parseJson(bytes)
  if (!Value.Check(Line, found)) return undefined
  const { state, ...line } = found as Static<typeof Line> & { state?: object }
  return { line: line as Transition, state: state && stateIn({ ...state, last: line }) }
}

function stateIn(value: unknown): RolloutState | undefined {
  return Value.Check(Stored, value) ? (value as unknown as RolloutState) : undefined
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
}
