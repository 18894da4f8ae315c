import { isErased } from '#conversations/erased.ts'
import { ParleyError } from '#errors.ts'
import { opening } from '#identity/owners-seal.ts'
import type { Principal } from '#identity/principal.ts'
import type { ChatMessage } from '#models/answer.ts'
import { callerCalls } from './ending.ts'
import { turnLifetimes } from './limits.ts'
import { callId, stepMessages } from './prompt.ts'
import { carriedCallKey, placeOf } from './store/turn-keys.ts'
import type { ChatRoom, TurnContext } from './turn-context.ts'

/**
 * On `/v1` a caller sees only the calls of its own tools. When a model asked for those and for ours at once, ours have run;
 * their calls and results are kept for an hour under the caller's call ids and put back when the caller comes with its own
 * results, so that the model sees the step whole.
 */
export async function keepCarriedCalls(turn: TurnContext): Promise<void> {
  const { room, input, progress, seal } = turn
  const theirs = callerCalls(turn)
  const { step, calls } = progress.current
  if (theirs.length === calls.length && progress.steps.length === 0) return
  const answered = new Set(theirs.map((call) => call.id))
  const current = stepMessages(input.turn, {
    ...progress.current,
    calls: calls.filter((call) => call.output !== undefined || answered.has(callId(input.turn, step, call.index))),
  }).filter((message) => message.role !== 'tool' || !answered.has(message.tool_call_id ?? ''))
  const kept = [...progress.steps.flatMap((earlier) => stepMessages(input.turn, earlier)), ...current]
  await Promise.all(
    theirs.map(({ id }) => {
      const at = carriedCallKey(input.principal, id)
      return room.kv.put(at, seal.seal(JSON.stringify(kept), placeOf(at, 'calls')), {
        ttlMs: turnLifetimes.carriedCallsMs,
      })
    }),
  )
}

/** The caller's history with our calls and results back in their places. */
export async function withCarriedCalls(
  { kv, conversations }: Pick<ChatRoom, 'kv' | 'conversations'>,
  principal: Principal,
  history: readonly ChatMessage[],
): Promise<ChatMessage[]> {
  const whole = await Promise.all(
    history.map(async (message) => {
      const first = message.tool_calls?.[0]
      if (message.role !== 'assistant' || !first) return [message]
      const at = carriedCallKey(principal, first.id)
      const kept = await kv.get(at)
      if (!kept) return [message]
      const seal = await conversations.seal(principal)
      try {
        return await opening(seal, (each) => readKept(each.unseal(kept.value, placeOf(at, 'calls'))))
      } catch (error) {
        if (isErased(error)) return [message]
        throw error
      }
    }),
  )
  return whole.flat()
}

function readKept(plain: Buffer): ChatMessage[] {
  const kept: unknown = JSON.parse(plain.toString())
  if (!Array.isArray(kept)) throw new ParleyError('sealed_unreadable')
  return kept
}
