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

/** Some providers take no question right after a result. */
const BROKEN_OFF: ChatMessage = { role: 'assistant', content: 'The answer broke off here.' }

/**
 * The messages of earlier turns. A turn that failed before it said or did anything is left out, question and all; what it was to
 * report is kept, for nobody asks for that again. What one has called stays, however it ended, or it would be called again.
 */
export function historyOf(messages: readonly Message[]): ChatMessage[] {
  const answered = new Set(messages.filter((each) => each.role === 'assistant' && !isEmptyEnd(each)).map((m) => m.turn))
  return messages.flatMap((message) => {
    if (isEmptyEnd(message)) return answered.has(message.turn) ? [BROKEN_OFF] : []
    return answered.has(message.turn) || message.kind === 'follow-up' ? [toChatMessage(message)] : []
  })
}

function isEmptyEnd({ role, complete, content, toolCalls }: Message): boolean {
  return role === 'assistant' && complete === false && content === '' && !toolCalls
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
