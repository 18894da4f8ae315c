import type { ConversationKeys, Message } from '#conversations/conversations.ts'
import { conversationKeys } from '#conversations/keys.ts'
import { encodeMessages } from '#conversations/message-codec.ts'
import type { ParleyError } from '#errors.ts'
import { newId } from '#ids.ts'
import type { Log } from '#log.ts'
import type { Answer } from '#models/answer.ts'
import { archiveEnd, entryFacts, firstTitle } from './archiving.ts'
import type { TurnView } from './chat.ts'
import { loadHistory } from './history.ts'
import { Progress } from './progress.ts'
import { callId, saidIn, stepRecords } from './prompt.ts'
import { receiptOf } from './receipt.ts'
import { settle } from './settling.ts'
import { callerTools } from './step.ts'
import { placeOf } from './store/turn-keys.ts'
import type { TurnContext } from './turn-context.ts'
import { turnEnded } from './turn-ended.ts'
import type { Receipt, TurnEvent, TurnEvents } from './turn-events.ts'
import type { TurnOutcome } from './turn-input.ts'
import type { CommitEnd, Ending } from './turn-log.ts'

export type End =
  | { status: 'completed'; finish: Answer['finish'] }
  | { status: 'cancelled' }
  | { status: 'failed'; error: ParleyError }

/**
 * Commits the turn: its terminal event, its receipt and the messages of its conversation, in one step. `refused` when it is
 * somebody else's by now, `lost` when it cannot end like this any more, since its readers have been without it for too long.
 */
export async function commitEnd(turn: TurnContext, end: End, signal: AbortSignal): Promise<CommitEnd> {
  const { room, input, config, progress, log } = turn
  const receipt = receiptOf(input, config, progress, turn.omittedMessages, room.clock.now())
  const toolCalls = end.status === 'completed' && end.finish === 'tool_calls' ? callerCalls(turn) : []
  const terminal = { ...terminalOf(end, receipt, toolCalls), position: progress.next }
  const outcome: TurnOutcome = { text: progress.text, terminal, firstTokenMs: turn.firstTokenMs }
  const sealed = turn.seal.seal(JSON.stringify(outcome), placeOf(turn.keys.turn, 'end'))
  let tries = 0
  let archivedAt: number | undefined
  const committed = await log.commit(
    terminal,
    async () => {
      tries += 1
      if (tries > 1) turn.messagesAt = (await loadHistory(room, input.principal, input.conversation)).next
      const messages = messagesPart(turn, end)
      if (turn.messagesAt !== archivedAt && !turn.unarchived) {
        archivedAt = turn.messagesAt
        const entry = messages && {
          ...entryFacts(input),
          conversation: messages.conversation,
          position: archivedAt,
          messages: messages.sealed,
          count: messages.count,
          title: messages.title,
        }
        turn.unarchived = !(await archiveEnd(turn, { status: end.status, outcome: sealed, entry }))
      }
      return { outcome: sealed, conversation: conversationPart(turn, messages) }
    },
    signal,
  )
  if (committed === 'committed') {
    logEnd(room.log, receipt, end)
    // Its deadline stays noted until after this; should we die before, the sweeper tells it.
    const fact = turnEnded(input, outcome)
    room.events.emit('turn.ended', fact)
    turn.settling = settle(room, fact)
  }
  return committed
}

/** The terminal event's type and data. */
export function terminalOf(
  end: End,
  receipt: Receipt,
  toolCalls: TurnView['toolCalls'],
): Pick<TurnEvent, 'type' | 'data'> {
  if (end.status === 'cancelled') return { type: 'turn.cancelled', data: JSON.stringify({ receipt }) }
  if (end.status === 'failed') {
    const { retryAfterMs } = end.error
    const body: TurnEvents['turn.failed'] = {
      ...end.error.toBody(undefined),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      receipt,
    }
    return { type: 'turn.failed', data: JSON.stringify(body) }
  }
  const wire = toolCalls.map(({ id, name, arguments: args }) => ({
    id,
    type: 'function',
    function: { name, arguments: args },
  }))
  const data = { finish: end.finish, ...(wire.length > 0 && { toolCalls: wire }), receipt }
  return { type: 'turn.completed', data: JSON.stringify(data) }
}

/** The caller's own calls of the current step, under ids that are unique for the caller. */
export function callerCalls(turn: TurnContext): TurnView['toolCalls'] {
  const callers = new Set(callerTools(turn).map((tool) => tool.function.name))
  const { step, calls } = turn.progress.current
  return calls
    .filter((call) => callers.has(call.action))
    .map(({ index, action, arguments: args }) => ({
      id: callId(turn.input.turn, step, index),
      name: action,
      arguments: args,
    }))
}

interface MessagesPart {
  conversation: string
  keys: ConversationKeys
  count: number
  sealed: Buffer
  /** Of the first messages alone. */
  title: Buffer | null
}

/** Null for a turn that stands alone. */
function messagesPart(turn: TurnContext, end: End): MessagesPart | null {
  const { conversation, principal } = turn.input
  if (conversation === null) return null
  const keys = conversationKeys(principal, conversation)
  const messages = messagesOf(turn, end)
  return {
    conversation,
    keys,
    count: messages.length,
    sealed: encodeMessages(turn.seal, keys, turn.messagesAt, messages),
    title: turn.messagesAt === 0 ? firstTitle(turn.seal, keys, turn.input) : null,
  }
}

function conversationPart(turn: TurnContext, messages: MessagesPart | null): Ending['conversation'] {
  const { input, room, messagesAt } = turn
  if (!messages) return { keys: [], args: [] }
  const { keys, conversation, title } = messages
  return {
    keys: [keys.record, keys.messages, keys.index],
    args: [input.turn, conversation, messagesAt, messages.sealed, messages.count, title ?? '', room.conversationIdleMs],
  }
}

function messagesOf({ input, progress, room }: TurnContext, end: End): Message[] {
  const of = (part: Pick<Message, 'role' | 'content'> & Partial<Message>, at: number): Message => ({
    id: newId('msg'),
    turn: input.turn,
    at,
    ...part,
  })
  const now = room.clock.now()
  const complete = end.status === 'completed'
  // Of what cannot be kept whole only the question is.
  const isTooLarge = end.status === 'failed' && end.error.code === 'message_too_large'
  const { steps, current } = isTooLarge ? new Progress() : progress
  // Of a step that broke off: what is not answered yet is reported later, what is never again.
  const calls = current.calls.filter(({ output }) => output !== undefined)
  const [all, text] = calls.length > 0 ? [[...steps, { ...current, calls }], ''] : [steps, current.text]
  return [
    of({ role: 'user', content: saidIn(input), ...(input.followUp && { kind: 'follow-up' }) }, input.startedAt),
    ...all.flatMap((step) => stepRecords(input.turn, step)).map((part) => of(part, now)),
    of({ role: 'assistant', content: text, ...(!complete && { complete }) }, now),
  ]
}

function logEnd(log: Log, receipt: Receipt, end: End): void {
  const { turn, specialist, config, steps, inputTokens, outputTokens, costUsd } = receipt
  const code = end.status === 'failed' ? { code: end.error.code } : {}
  const figures = { config: config.version, arm: config.arm, steps, inputTokens, outputTokens, costUsd }
  log.info({ turn, specialist, status: end.status, ...code, ...figures }, 'A turn has ended')
}
