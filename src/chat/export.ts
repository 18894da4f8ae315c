import type { Conversation, Conversations, Message } from '#conversations/conversations.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { Chat, TurnView } from './chat.ts'

export interface ChatExport {
  chat: Pick<Chat, 'get'>
  conversations: Pick<Conversations, 'list' | 'messages'>
  /** Ids of turns that may belong to no conversation that is listed; others may be among them. */
  otherTurns: AsyncIterable<string>
}

export interface ExportedConversation {
  /** Null where only its turns are left, and for a turn that stood alone. */
  conversation: Conversation | null
  messages: Message[]
  /** With receipts and feedback. */
  turns: TurnView[]
}

const PAGE = 100

/** The conversations of a person, each whole, and turns that stood alone. */
export async function* exportConversations(parts: ChatExport, person: Principal): AsyncGenerator<ExportedConversation> {
  const { chat, conversations, otherTurns } = parts
  const seen = new Set<string>()

  async function whole(id: string, conversation: Conversation | null): Promise<ExportedConversation> {
    seen.add(id)
    const messages = await messagesOf(conversations, person, id)
    const turns: TurnView[] = []
    for (const id of new Set(messages.map(({ turn }) => turn))) {
      seen.add(id)
      const turn = await chat.get(person, id).catch(ifGone)
      if (turn) turns.push(turn)
    }
    return { conversation, messages, turns }
  }

  for (let cursor: string | undefined; ; ) {
    const page = await conversations.list(person, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    for (const conversation of page.items) yield await whole(conversation.id, conversation)
    if (page.next === null) break
    cursor = page.next
  }
  for await (const id of otherTurns) {
    if (seen.has(id)) continue
    seen.add(id)
    const turn = await chat.get(person, id).catch(ifGone)
    if (!turn) continue
    if (turn.conversation === null) yield { conversation: null, messages: [], turns: [turn] }
    else if (!seen.has(turn.conversation)) yield await whole(turn.conversation, null)
  }
}

async function messagesOf(
  conversations: Pick<Conversations, 'messages'>,
  person: Principal,
  id: string,
): Promise<Message[]> {
  const messages: Message[] = []
  for (let after = -1; ; ) {
    const page = await conversations.messages(person, id, after, PAGE).catch(ifGone)
    messages.push(...(page?.items ?? []))
    if (page?.next == null) return messages
    after = page.next
  }
}

/** It was deleted, or its time was over, while all this was read. */
function ifGone(error: unknown): undefined {
  const isGone = error instanceof ParleyError && ['conversation_not_found', 'turn_not_found'].includes(error.code)
  if (!isGone) throw error
}
