import type { ArchivedTurn } from '#conversations/archive.ts'
import type { Seal } from '#conversations/vault.ts'
import { ParleyError } from '#errors.ts'
import { opening } from '#identity/owners-seal.ts'
import type { Principal } from '#identity/principal.ts'
import type { Key } from '#platform/kv/kv.ts'
import type { Feedback } from './chat.ts'
import { noteFeedback } from './store/commands.ts'
import { noteDeadline } from './store/deadlines.ts'
import { deadlineEntry, placeOf, turnKeys } from './store/turn-keys.ts'
import type { ChatRoom } from './turn-context.ts'
import { servedOf } from './turn-ended.ts'
import { readInput, type TurnInput } from './turn-input.ts'

/**
 * Keeps what the reader thinks of a turn that has ended, in the archive too, and tells of it; the last word counts. Rejects with
 * turn_not_found, turn_running, erased; where only the archive has the turn, with database_unavailable while that is away.
 */
export async function giveFeedback(
  room: ChatRoom,
  principal: Principal,
  turn: string,
  feedback: Feedback,
): Promise<void> {
  // The last word counts: whatever was kept under a key that is gone is kept anew.
  const keep = (seal: Seal) => keepFeedback(room, principal, turn, feedback, seal)
  const input = await opening(await room.conversations.seal(principal), keep)
  room.events.emit('feedback.given', { ...servedOf(input), turn, rating: feedback.rating, at: room.clock.now() })
}

async function keepFeedback(
  room: ChatRoom,
  principal: Principal,
  turn: string,
  feedback: Feedback,
  seal: Seal,
): Promise<TurnInput> {
  const { kv, archive } = room
  const keys = turnKeys(principal, turn)
  const sealed = seal.seal(JSON.stringify(feedback), placeOf(keys.turn, 'feedback'))
  const noted = await kv.run(noteFeedback, [keys.turn], [sealed])
  if (noted.kind === 'running') throw new ParleyError('turn_running')
  const isLive = noted.kind === 'noted'
  const judge = () => archive?.judge(principal, turn, sealed, seal)
  const archived = isLive ? await judgeOrLater(room, principal, turn, judge) : await judge()
  const found = isLive ? noted.input : archived?.input
  if (!found) throw new ParleyError('turn_not_found')
  return readInput(seal, keys, found)
}

export function readFeedback(seal: Seal, turn: Key, sealed: Buffer | undefined): Feedback | null {
  return sealed ? JSON.parse(seal.unseal(sealed, placeOf(turn, 'feedback')).toString()) : null
}

/** With the archive away, or without the turn as yet, the sweeper archives both from the turn's record. */
async function judgeOrLater(
  { kv, archive, conversations, leaseMs, log }: ChatRoom,
  principal: Principal,
  turn: string,
  judge: () => Promise<ArchivedTurn | undefined> | undefined,
): Promise<ArchivedTurn | undefined> {
  if (!archive) return undefined
  try {
    const found = await judge()
    if (found) return found
  } catch (error) {
    if (!(error instanceof ParleyError) || error.code !== 'database_unavailable') throw error
    log.warn({ turn, err: error }, 'What was thought of a turn is archived later')
  }
  const { unarchived, member } = deadlineEntry(conversations, principal, turn)
  await kv.run(noteDeadline, [unarchived], [member, leaseMs])
  return undefined
}
