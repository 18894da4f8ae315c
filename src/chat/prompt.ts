import type { Message } from '#conversations/conversations.ts'
import type { ChatMessage } from '#models/answer.ts'
import type { StepProgress } from './progress.ts'

/** What the model is told of an action that is still running when the turn goes on. */
const UNDER_WAY = 'The action is under way. Its result will be reported later; do not call it again.'

/**
 * Names a call towards the model: unique within a history that may span turns and models, short enough for every provider.
 */
export function callId(turn: string, step: number, index: number): string {
  return `call_${turn.slice(-16)}_${step}_${index}`
}

/** The messages of earlier turns. A turn that failed before it said anything is left out, question and all. */
export function historyOf(messages: readonly Message[]): ChatMessage[] {
  const silent = new Set(
    messages.filter((m) => m.role === 'assistant' && m.complete === false && m.content === '').map((m) => m.turn),
  )
  return messages.filter((message) => !silent.has(message.turn)).map(toChatMessage)
}

function toChatMessage(message: Message): ChatMessage {
  if (message.role === 'tool') return { role: 'tool', tool_call_id: message.callId ?? '', content: message.content }
  if (message.role === 'user' || !message.toolCalls) return { role: message.role, content: message.content }
  return {
    role: 'assistant',
    content: message.content === '' ? null : message.content,
    tool_calls: message.toolCalls.map(({ id, name, arguments: args }) => ({
      id,
      type: 'function',
      function: { name, arguments: args },
    })),
  }
}

/** A finished step as the next one sees it: what was said, what was called, what came back. */
export function stepMessages(turn: string, { step, text, calls }: StepProgress): ChatMessage[] {
  if (calls.length === 0) return []
  return [
    {
      role: 'assistant',
      content: text === '' ? null : text,
      tool_calls: calls.map(({ index, action, arguments: args }) => ({
        id: callId(turn, step, index),
        type: 'function',
        function: { name: action, arguments: args },
      })),
    },
    ...calls.map(
      ({ index, output }): ChatMessage => ({
        role: 'tool',
        tool_call_id: callId(turn, step, index),
        content: output ?? UNDER_WAY,
      }),
    ),
  ]
}

/** The same, as kept with the conversation. */
export function stepRecords(
  turn: string,
  { step, text, calls }: StepProgress,
): Pick<Message, 'role' | 'content' | 'toolCalls' | 'callId'>[] {
  if (calls.length === 0) return []
  return [
    {
      role: 'assistant',
      content: text,
      toolCalls: calls.map(({ index, action, arguments: args }) => ({
        id: callId(turn, step, index),
        name: action,
        arguments: args,
      })),
    },
    ...calls.map(({ index, output }) => ({
      role: 'tool' as const,
      content: output ?? UNDER_WAY,
      callId: callId(turn, step, index),
    })),
  ]
}
