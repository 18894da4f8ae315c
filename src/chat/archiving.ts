import type { ArchivedTurn, FinishedTurn } from '#conversations/archive.ts'
import type { ConversationKeys } from '#conversations/conversations.ts'
import { conversationKeys } from '#conversations/keys.ts'
import { decodeMessages } from '#conversations/message-codec.ts'
import { sealTitle, titleFrom } from '#conversations/title.ts'
import type { Seal } from '#conversations/vault.ts'
import { ParleyError } from '#errors.ts'
import type { Owner } from '#identity/principal.ts'
import { loadFinished } from './store/finished.ts'
import { placeOf, turnKeys } from './store/turn-keys.ts'
import type { ChatRoom, TurnContext } from './turn-context.ts'
import { loggedOf, readInput, type TurnInput, type TurnOutcome } from './turn-input.ts'

/** How long a turn's end waits for the archive; of a short lease it takes a part that leaves time for the commit. */
const WAIT_MS = 2000
const PART_OF_LEASE = 1 / 4
const ENTRIES_AT_ONCE = 100

/**
 * Keeps what a turn is about to be committed with, before anyone hears of its end. With the archive away the turn ends
 * without: its deadline stays noted, and the sweeper keeps it later from its record.
 */
export async function archiveEnd(
  { room, input, keys, seal, fence }: TurnContext,
  end: Pick<FinishedTurn, 'status' | 'outcome' | 'entry'>,
): Promise<boolean> {
  const { archive, clock, leaseMs, log } = room
  if (!archive) return true
  const over = Promise.withResolvers<false>()
  const stopWaiting = clock.after(Math.min(WAIT_MS, leaseMs * PART_OF_LEASE), () => over.resolve(false))
  try {
    const sealedInput = seal.seal(JSON.stringify(input), placeOf(keys.turn, 'input'))
    const finished = { ...end, id: input.turn, owner: input.principal, fence, endedAt: clock.now(), input: sealedInput }
    const isKept = await Promise.race([archive.keep(finished, seal).then(() => true), over.promise])
    if (!isKept) log.warn(loggedOf(input), 'the archive takes too long; a turn ends without and is archived later')
    return isKept
  } catch (error) {
    log.warn({ ...loggedOf(input), err: error }, 'A turn ends without the archive and is archived later')
    return false
  } finally {
    stopWaiting()
  }
}

/** What was kept of a turn that turned out to be somebody else's, or whose conversation was deleted meanwhile. */
export async function withdrawEnd({ room, input, fence }: TurnContext): Promise<void> {
  try {
    await room.archive?.withdraw(input.principal, input.turn, fence)
  } catch (error) {
    room.log.warn({ ...loggedOf(input), err: error }, 'What the archive has of a lost turn could not be taken back')
  }
}

/** Archives a turn that ended without, from its record; nothing is done where that is gone. Rejects like the archive. */
export async function archiveFinished(room: ChatRoom, owner: Owner, turn: string): Promise<void> {
  if (!room.archive) return
  const keys = turnKeys(owner, turn)
  const [record, seal] = await Promise.all([room.kv.run(loadFinished, [keys.turn], []), room.conversations.seal(owner)])
  if (!record) return
  const input = readInput(seal, keys, record.input)
  const { terminal }: TurnOutcome = JSON.parse(seal.unseal(record.outcome, placeOf(keys.turn, 'end')).toString())
  const entry = await entryOf(room, owner, input, seal)
  const finished = { ...record, id: turn, owner, entry, status: statusOf(terminal), endedAt: endOf(terminal) }
  await room.archive.keep(finished, seal)
}

/** A finished turn that the live state has lost. Rejects with turn_not_found. */
export async function archivedTurn(room: ChatRoom, owner: Owner, turn: string): Promise<ArchivedTurn> {
  const found = await room.archive?.turn(owner, turn)
  if (!found) throw new ParleyError('turn_not_found')
  return found
}

/** What is known of the conversation as its turn has it. */
export function entryFacts({ specialist, config, arm, cohort, startedAt }: TurnInput) {
  return { specialist, config, arm, cohort, startedAt }
}

/** The title of a conversation that has none: the beginning of its first message, sealed. */
export function firstTitle(seal: Seal, keys: ConversationKeys, { message }: TurnInput): Buffer {
  return sealTitle(seal, keys, titleFrom(message))
}

/** Null when the conversation is gone, or there is none. */
async function entryOf({ kv }: ChatRoom, owner: Owner, input: TurnInput, seal: Seal): Promise<FinishedTurn['entry']> {
  const { conversation, turn } = input
  if (conversation === null) return null
  const keys: ConversationKeys = conversationKeys(owner, conversation)
  for (let after = -1; ; ) {
    const entries = await kv.read(keys.messages, after, ENTRIES_AT_ONCE)
    for (const entry of entries) {
      const { position, body } = entry
      const said = decodeMessages(seal, keys, entry)
      if (said[0]?.turn === turn) {
        const title = position === 0 ? firstTitle(seal, keys, input) : null
        return { ...entryFacts(input), conversation, position, messages: body, count: said.length, title }
      }
      after = position
    }
    if (entries.length < ENTRIES_AT_ONCE) return null
  }
}

export function statusOf({ type }: Pick<TurnOutcome['terminal'], 'type'>): FinishedTurn['status'] {
  if (type === 'turn.completed') return 'completed'
  return type === 'turn.cancelled' ? 'cancelled' : 'failed'
}

function endOf({ data }: TurnOutcome['terminal']): number {
  const { receipt }: { receipt: { endedAt: string } } = JSON.parse(data)
  return Date.parse(receipt.endedAt)
}
