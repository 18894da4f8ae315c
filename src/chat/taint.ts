import type { ConfigVersion } from '#config/document.ts'
import type { ChatMessage } from '#models/answer.ts'
import { reportedActions } from './follow-up-text.ts'
import type { StepProgress } from './progress.ts'
import { callerTools } from './step.ts'
import type { TurnContext } from './turn-context.ts'

/** What a call of the current step has before it. */
export interface CallContext extends Pick<TurnContext, 'config' | 'input' | 'prompt'> {
  progress: { steps: readonly StepProgress[] }
}

/**
 * Whether words of strangers are in the context of the calls that the current step asks for: what an action answered
 * that does not declare its output trusted, in this turn or in an earlier one; on a turn that stands alone, any result
 * of a tool, and tools of the caller's own. What the current step's own calls answer came too late to have moved the model.
 */
export function hasStrangersWords(context: CallContext): boolean {
  const { config, input, prompt, progress } = context
  const isTrusted = (action: string) => trusts(config, action)
  const answered = progress.steps.flatMap(({ calls }) => calls).filter(({ output }) => output !== undefined)
  if (answered.some(({ action }) => !isTrusted(action))) return true
  if (input.alone) return callerTools({ input }).length > 0 || prompt.some(({ role }) => role === 'tool')
  return answeredActions(prompt).some((action) => action === undefined || !isTrusted(action))
}

function trusts({ document: { actions = {} } }: ConfigVersion, action: string): boolean {
  return Object.hasOwn(actions, action) && actions[action]?.output === 'trusted'
}

/** The actions whose answers stand in a history; undefined for an answer to what nobody asked. */
function answeredActions(messages: readonly ChatMessage[]): (string | undefined)[] {
  const asked = new Map<string, string>()
  return messages.flatMap((message): (string | undefined)[] => {
    for (const call of message.tool_calls ?? []) asked.set(call.id, call.function.name)
    if (message.role === 'tool') return [asked.get(message.tool_call_id ?? '')]
    return message.role === 'user' && typeof message.content === 'string' ? reportedActions(message.content) : []
  })
}
