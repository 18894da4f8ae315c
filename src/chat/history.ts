import type { Message } from '#conversations/conversations.ts'
import { conversationKeys } from '#conversations/keys.ts'
import { decodeMessages } from '#conversations/message-codec.ts'
import type { Seal } from '#conversations/vault.ts'
import { opening } from '#identity/owners-seal.ts'
import type { Principal } from '#identity/principal.ts'
import { readHistory } from './store/history.ts'
import type { ChatRoom } from './turn-context.ts'

const PAGE = 500

/** All messages of a conversation, and the position of its next entry; nothing for a turn that stands alone. */
export async function loadHistory(
  { kv, conversations, archive }: Pick<ChatRoom, 'kv' | 'conversations' | 'archive'>,
  principal: Principal,
  conversation: string | null,
): Promise<{ messages: Message[]; next: number }> {
  if (conversation === null) return { messages: [], next: -1 }
  const keys = conversationKeys(principal, conversation)
  const messages: Message[] = []
  let top = -1
  for (;;) {
    const reading = kv.run(readHistory, [keys.record, keys.messages], [top, PAGE])
    const [{ entries, messages: kept }, seal] = await Promise.all([reading, conversations.seal(principal)])
    const read = (each: Seal) => entries.flatMap((entry) => decodeMessages(each, keys, entry))
    messages.push(...(await opening(seal, read)))
    top = entries.at(-1)?.position ?? top
    if (entries.length === PAGE) continue
    // Before the first there is nothing to be looked for: that took a turn one more round trip before its model was asked.
    const isLost = top === -1 && kept > 0 && archive
    if (!isLost || !(await conversations.recoverMessages(principal, conversation))) return { messages, next: top + 1 }
  }
}
