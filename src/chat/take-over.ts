import type { Owner } from '#identity/principal.ts'
import { loadHistory } from './history.ts'
import type { Producers } from './producers.ts'
import { Progress } from './progress.ts'
import { historyOf } from './prompt.ts'
import { readLog } from './read-log.ts'
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
  // Ours still, and being ended with what its readers were told; or this replica takes on nothing any more.
  if (producers.has(turn) || producers.draining) return { kind: 'held', forMs: room.leaseMs }
  const keys = turnKeys(principal, turn)
  // Before the claim: a replica that lacks the key keeps the turn from nobody, and does not count as brought down by it.
  const seal = await room.conversations.seal(principal)
  const leasedAtMs = room.clock.monotonic()
  const claim = await room.kv.run(claimTurn, [keys.turn], [room.replica, room.leaseMs])
  if (claim.kind !== 'claimed') return claim
  const input = readInput(seal, keys, claim.input)
  const progress = new Progress()
  for await (const batch of readLog(room.kv, keys, seal, -1)) for (const event of batch) progress.replay(event)
  const { messages, next } = await loadHistory(room, input.principal, input.conversation)
  const { config, arm } = input
  room.log.info({ turn, config, arm, fence: claim.fence, position: progress.next }, 'a turn is taken over from its log')
  producers.produce({
    input,
    config: (await room.configs.find(input.config)) ?? room.serving.stable(),
    seal,
    history: historyOf(messages),
    messagesAt: next,
    progress,
    fence: claim.fence,
    leasedAtMs,
    startedAtMs: null,
    takenOver: true,
    hopeless: claim.fence > PRODUCERS_PER_TURN,
  })
  if (claim.cancelled) producers.cancel(turn)
  return { kind: 'taken' }
}
