import type { ConfigVersion } from '#config/document.ts'
import { ParleyError } from '#errors.ts'
import { opening } from '#identity/owners-seal.ts'
import type { Owner } from '#identity/principal.ts'
import { loadHistory } from './history.ts'
import type { Producers } from './producers.ts'
import { Progress } from './progress.ts'
import { historyOf } from './prompt.ts'
import { readLog } from './read-log.ts'
import { loadTurn } from './store/commands.ts'
import { claimTurn } from './store/lease.ts'
import { turnKeys } from './store/turn-keys.ts'
import type { ChatRoom } from './turn-context.ts'
import { readInput } from './turn-input.ts'

/** A turn that has brought down so many producers is ended, so that it does not bring down the next. */
const PRODUCERS_PER_TURN = 5

export type TakeOver = { kind: 'taken' } | { kind: 'held'; forMs: number } | { kind: 'done' }

/**
 * Takes a turn whose producer is gone, and goes on from its log: text stands, answered calls are not made again, a call that
 * was asked for is dispatched under the same key. The dead producer is one more failed segment.
 */
export async function takeOver(
  room: ChatRoom,
  producers: Producers,
  principal: Owner,
  turn: string,
): Promise<TakeOver> {
  const held: TakeOver = { kind: 'held', forMs: room.leaseMs }
  // Ours still, and being ended with what its readers were told; or this replica takes on nothing any more.
  if (producers.has(turn) || producers.draining) return held
  const keys = turnKeys(principal, turn)
  // Before the claim: a replica that lacks the key or the version keeps the turn from nobody, and does not count as brought down by it.
  const known = await room.conversations.seal(principal)
  const record = await room.kv.run(loadTurn, [keys.turn], [])
  if (record?.state !== 'live') return { kind: 'done' }
  if (record.leaseLeftMs > 0) return { kind: 'held', forMs: record.leaseLeftMs }
  const { seal, input } = await opening(known, (seal) => ({ seal, input: readInput(seal, keys, record.input) }))
  const version = await versionOf(room, input.config)
  // Looking for it takes its time.
  if (!version || producers.draining) return held
  const leasedAtMs = room.clock.monotonic()
  const claim = await room.kv.run(claimTurn, [keys.turn], [room.replica, room.leaseMs])
  if (claim.kind !== 'claimed') return claim
  const progress = new Progress()
  for await (const batch of readLog(room.kv, keys, seal, -1)) for (const event of batch) progress.replay(event)
  // It expired while everything was down; nothing brings it back.
  const isLogGone = progress.next === 0
  if (isLogGone) progress.next = record.top + 1
  if (progress.next <= record.top) {
    throw new ParleyError('sealed_unreadable', { message: 'The log of the turn is not whole any more.' })
  }
  const { messages, next } = await loadHistory(room, input.principal, input.conversation)
  const { config, arm } = input
  room.log.info({ turn, config, arm, fence: claim.fence, position: progress.next }, 'A turn is taken over from its log')
  producers.produce({
    input,
    config: version,
    seal,
    history: historyOf(messages),
    messagesAt: next,
    progress,
    fence: claim.fence,
    leasedAtMs,
    startedAtMs: null,
    takenOver: true,
    hopeless: isLogGone || claim.lost >= PRODUCERS_PER_TURN,
  })
  if (claim.cancelled) producers.cancel(turn)
  return { kind: 'taken' }
}

/** The stable one where its own is gone; undefined while that cannot be told. */
async function versionOf({ configs, serving }: ChatRoom, name: string): Promise<ConfigVersion | undefined> {
  try {
    return (await configs.find(name)) ?? serving.stable()
  } catch (error) {
    if (error instanceof ParleyError && error.code === 'blob_unavailable') return undefined
    throw error
  }
}
