import type { Conversation, Conversations, Message } from '#conversations/conversations.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { Chat, TurnView } from './chat.ts'

export interface ChatExport {
  chat: Pick<Chat, 'get'>
  conversations: Pick<Conversations, 'list' | 'messages'>
  /** Where there is an archive: its turns of the person in order of their ids, some above `after`. */
  archivedTurns?: ((after: string) => Promise<{ id: string; conversation: string | null }[]>) | undefined
}

export interface ExportedConversation {
  /** Null where only the archive has it. */
  conversation: Conversation | null
  messages: Message[]
  /** With receipts and feedback. */
  turns: TurnView[]
}

const PAGE = 100

/** The conversations of a person, each whole; and turns that stood alone, as far as the archive has them. */
export async function* exportConversations(parts: ChatExport, person: Principal): AsyncGenerator<ExportedConversation> {
  const { chat, conversations, archivedTurns } = parts
  const seen = new Set<string>()

  async function whole(id: string, conversation: Conversation | null): Promise<ExportedConversation> {
    seen.add(id)
    const messages = await messagesOf(conversations, person, id)
    const turns = await turnsNamed(chat, person, new Set(messages.map(({ turn }) => turn)))
    return { conversation, messages, turns }
  }

  for (let cursor: string | undefined; ; ) {
    const page = await conversations.list(person, { limit: PAGE, ...(cursor !== undefined && { cursor }) })
    for (const conversation of page.items) yield await whole(conversation.id, conversation)
    if (page.next === null) break
    cursor = page.next
  }
  for (let after = ''; archivedTurns; ) {
    const found = await archivedTurns(after)
    for (const { id, conversation } of found) {
      if (conversation === null) {
        yield { conversation: null, messages: [], turns: await turnsNamed(chat, person, new Set([id])) }
      } else if (!seen.has(conversation)) {
        yield await whole(conversation, null)
      }
      after = id
    }
    if (found.length === 0) return
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

async function turnsNamed(chat: Pick<Chat, 'get'>, person: Principal, ids: ReadonlySet<string>): Promise<TurnView[]> {
  const turns: TurnView[] = []
  for (const id of ids) {
    const turn = await chat.get(person, id).catch(ifGone)
    if (turn) turns.push(turn)
  }
  return turns
}

/** It was deleted, or its time was over, while all this was read. */
function ifGone(error: unknown): undefined {
  const isGone = error instanceof ParleyError && ['conversation_not_found', 'turn_not_found'].includes(error.code)
  if (!isGone) throw error
}
