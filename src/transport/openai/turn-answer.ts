import type { TurnEvent } from '#chat/turn-events.ts'
import type { CompletionCall } from './completion-call.ts'
import { completedTurn, openTurn, wireOf } from './turn-of-request.ts'
import { accountOf } from './usage.ts'

/** Sends the answer of a specialist that may call actions, whole once its turn has ended. */
export async function sendTurn(call: CompletionCall): Promise<void> {
  const { chat, principal, reply, over } = call
  const turn = await openTurn(call)
  let last: TurnEvent | undefined
  for await (const events of turn.events) last = events.at(-1)
  if (!last) throw over.signal.reason
  const { finish, toolCalls, receipt } = completedTurn(last)
  const { text } = await chat.get(principal, turn.id)
  const speaker = receipt.segments.findLast((segment) => segment.outcome === 'completed')?.model
  if (speaker !== undefined) reply.header('x-parley-model', speaker)
  const message = {
    role: 'assistant',
    content: text === '' && toolCalls ? null : text,
    refusal: null,
    ...(toolCalls && { tool_calls: toolCalls }),
  }
  reply.send({
    ...wireOf(call, turn),
    object: 'chat.completion',
    choices: [{ index: 0, message, logprobs: null, finish_reason: finish }],
    ...accountOf(receipt.segments),
  })
}
