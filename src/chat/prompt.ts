import type { Message } from '#conversations/conversations.ts'
import type { ChatMessage } from '#models/answer.ts'
import { followUpText } from './follow-up-text.ts'
import { toldOf } from './pending.ts'
import type { StepProgress } from './progress.ts'
import type { TurnInput } from './turn-input.ts'

/**
 * Names a call towards the model: unique within a history that may span turns and models, short enough for every provider.
 */
export function callId(turn: string, step: number, index: number): string {
  return `call_${turn.slice(-16)}_${step}_${index}`
}

/** The same, by the key under which the call was dispatched: `turn/step/index`. */
export function callIdOf(key: string): string {
  const [turn = '', step, index] = key.split('/')
  return callId(turn, Number(step), Number(index))
}

/**
 * The messages of earlier turns. A turn that failed before it said anything is left out, question and all; what it was to
 * report is kept, for nobody asks for that again.
 */
export function historyOf(messages: readonly Message[]): ChatMessage[] {
  const silent = new Set(
    messages.filter((m) => m.role === 'assistant' && m.complete === false && m.content === '').map((m) => m.turn),
  )
  return messages.filter(({ turn, kind }) => !silent.has(turn) || kind === 'follow-up').map(toChatMessage)
}

/** What a turn of a conversation begins with: the user's message, or what it is to report. */
export function saidIn({ message, followUp }: Pick<TurnInput, 'message' | 'followUp'>): string {
  return followUp ? followUpText(followUp) : message
}

/** Several messages of the user in a row as one: some providers want question and answer in turns. */
export function joinUserMessages(messages: readonly ChatMessage[]): ChatMessage[] {
  const joined: ChatMessage[] = []
  for (const message of messages) {
    const last = joined.at(-1)
    if (last?.role === 'user' && message.role === 'user') {
      joined[joined.length - 1] = { role: 'user', content: `${last.content}\n\n${message.content}` }
    } else joined.push(message)
  }
  return joined
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
      (call): ChatMessage => ({
        role: 'tool',
        tool_call_id: callId(turn, step, call.index),
        content: toldOf(call),
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
    ...calls.map((call) => ({
      role: 'tool' as const,
      content: toldOf(call),
      callId: callId(turn, step, call.index),
    })),
  ]
}
