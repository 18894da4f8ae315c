import type { Candidate, ChatMessage } from '#models/answer.ts'
import { promptRoom } from '#models/prompt-room.ts'

/** How a text's tokens are counted: exactly, which takes a while, or by a bound from above, which does not. */
export interface TokenCounter {
  bound(messages: readonly ChatMessage[]): number
  count(messages: readonly ChatMessage[]): Promise<number>
}

export interface Fitted {
  messages: readonly ChatMessage[]
  /** How many messages were left out. */
  omitted: number
}

const NOTE: ChatMessage = {
  role: 'system',
  content: 'Earlier messages of this conversation were left out, because it has grown longer than can be read at once.',
}

/**
 * Fits a history to a model's window, by this rule: the leading instructions and everything from the last user message on
 * always stay; of what is between, whole turns (a user's message and all that answers it) are left out, oldest first, until
 * the rest fits; a note takes their place. Undefined when even that is too long.
 */
export async function fitToWindow(
  messages: readonly ChatMessage[],
  candidate: Candidate,
  toolTokens: number,
  counter: TokenCounter,
): Promise<Fitted | undefined> {
  const room = promptRoom(candidate.spec) - toolTokens
  if (counter.bound(messages) <= room) return { messages, omitted: 0 }
  if ((await counter.count(messages)) <= room) return { messages, omitted: 0 }

  const head = messages.findIndex((message) => message.role !== 'system' && message.role !== 'developer')
  const last = messages.findLastIndex((message) => message.role === 'user')
  if (head < 0 || last <= head) return undefined
  const fixed = [...messages.slice(0, head), NOTE, ...messages.slice(last)]
  let left = room - (await counter.count(fixed))
  if (left < 0) return undefined

  const turns = splitTurns(messages.slice(head, last))
  const kept: ChatMessage[] = []
  for (const turn of turns.toReversed()) {
    left -= await counter.count(turn)
    if (left < 0) break
    kept.unshift(...turn)
  }
  return {
    messages: [...messages.slice(0, head), NOTE, ...kept, ...messages.slice(last)],
    omitted: last - head - kept.length,
  }
}

function splitTurns(messages: readonly ChatMessage[]): ChatMessage[][] {
  const turns: ChatMessage[][] = []
  for (const message of messages) {
    const open = turns.at(-1)
    if (message.role === 'user' || !open) turns.push([message])
    else open.push(message)
  }
  return turns
}
