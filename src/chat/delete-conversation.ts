import { conversationKeys } from '#conversations/keys.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import { loadHistory } from './history.ts'
import type { Producers } from './producers.ts'
import { readTurn } from './read-turn.ts'
import { turnKeys } from './store/turn-keys.ts'
import type { ChatRoom } from './turn-context.ts'

const UNREADABLE: ReadonlySet<string> = new Set(['erased', 'sealed_unreadable', 'turn_lost'])
/** It goes all the same: it has ended, or nobody can end it. */
const OVER: ReadonlySet<string> = new Set([...UNREADABLE, 'turn_finished', 'turn_not_found'])
/** For a running turn to end before its conversation goes. */
const LAST_WORDS_MS = 3000

/**
 * Deletes a conversation and all that its turns left: records, logs, outcomes, what the archive has, which may be all there
 * is. A running turn is cancelled first; one that begins meanwhile goes with it.
 */
export async function deleteConversation(
  room: ChatRoom,
  producers: Producers,
  cancel: (principal: Principal, turn: string) => Promise<void>,
  principal: Principal,
  id: string,
): Promise<void> {
  const found = await room.conversations.get(principal, id).catch(ifNotFound)
  if (!found) {
    // The archive is not asked for what cannot be an id.
    conversationKeys(principal, id)
    if (((await room.archive?.forget(principal, id)) ?? 0) > 0) return
    throw new ParleyError('conversation_not_found')
  }
  const { liveTurn } = found
  const turns = new Set(liveTurn === null ? [] : [liveTurn])
  if (liveTurn !== null) {
    await cancel(principal, liveTurn).catch(ignoreOver)
    await ended(room, producers, principal, liveTurn).catch(ignoreOver)
  }
  await room.archive?.forget(principal, id)
  for (const turn of await turnsOf(room, principal, id)) turns.add(turn)
  const begun = await room.conversations.delete(principal, id)
  if (begun !== null && !turns.has(begun)) {
    turns.add(begun)
    await cancel(principal, begun).catch(ignoreOver)
  }
  const keys = [...turns].map((turn) => turnKeys(principal, turn))
  await Promise.all(keys.flatMap(({ turn, log }) => [room.kv.delete(turn), room.kv.delete(log)]))
  // A turn that ended meanwhile has brought the conversation back there.
  await room.archive?.forget(principal, id)
}

/** None when nobody can read them: what those turns left goes with time. */
async function turnsOf(room: ChatRoom, principal: Principal, id: string): Promise<string[]> {
  try {
    const { messages } = await loadHistory(room, principal, id)
    return messages.map(({ turn }) => turn)
  } catch (error) {
    if (error instanceof ParleyError && UNREADABLE.has(error.code)) return []
    throw error
  }
}

async function ended(room: ChatRoom, producers: Producers, principal: Principal, turn: string): Promise<void> {
  const over = new AbortController()
  const stopWaiting = room.clock.after(LAST_WORDS_MS, () => over.abort())
  try {
    for await (const _events of readTurn(room, producers, principal, turn, -1, over.signal)) {
      // Only its end matters.
    }
  } finally {
    stopWaiting()
  }
}

function ifNotFound(error: unknown): undefined {
  if (!(error instanceof ParleyError) || error.code !== 'conversation_not_found') throw error
}

function ignoreOver(error: unknown): void {
  if (!(error instanceof ParleyError) || !OVER.has(error.code)) throw error
}
