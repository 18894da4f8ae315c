import type { Assignment } from '#config/serving.ts'
import { conversationKeys } from '#conversations/keys.ts'
import type { Seal } from '#conversations/vault.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import type { StartedTurn, TurnRequest } from './chat.ts'
import { encodeEvents } from './event-codec.ts'
import { loadHistory } from './history.ts'
import { turnLifetimes, turnLimits } from './limits.ts'
import type { Producers } from './producers.ts'
import { Progress } from './progress.ts'
import { historyOf } from './prompt.ts'
import { noteDeadline } from './store/deadlines.ts'
import { freeConversation } from './store/give-up.ts'
import { type OpenResult, openTurn } from './store/open.ts'
import { type DeadlineEntry, deadlineEntry, idempotencyKey, placeOf, turnKeys } from './store/turn-keys.ts'
import { takeOver } from './take-over.ts'
import type { ChatRoom } from './turn-context.ts'
import type { TurnEvent, TurnEvents } from './turn-events.ts'
import type { FollowUpInput, TurnInput } from './turn-input.ts'
import { viewTurn } from './view.ts'

/** Where a turn belongs, and what serves it. */
export interface Setting extends Assignment {
  /** Its id. */
  turn: string
  conversation: string | null
  specialist: string
}

/** A request of a caller, or of a replica that has late results to report. */
export interface Opening extends TurnRequest {
  followUp?: FollowUpInput
}

/** Opens a turn in one step (its record, its claim, the conversation's live mark, its Idempotency-Key) and produces it. */
export async function startTurn(
  room: ChatRoom,
  producers: Producers,
  principal: Principal,
  request: Opening,
  setting: Setting,
  onEnd: () => void,
): Promise<StartedTurn> {
  const startedAtMs = room.clock.monotonic()
  const input = inputOf(principal, request, setting, room.clock.now())
  if (Buffer.byteLength(input.message) > turnLimits.messageBytes) throw new ParleyError('message_too_large')
  const seal = await room.conversations.seal(principal)
  const leasedAtMs = room.clock.monotonic()
  const first = startedEvent(input)
  const deadline = deadlineEntry(room.conversations, principal, input.turn)
  const opening = open(room, input, request, seal, first, deadline)
  // In the same tick, behind the opening: once the turn is open, nobody else adds to the history.
  const history = loadHistory(room, principal, setting.conversation)
  const [result, { messages, next }] = await Promise.all([opening, history])
  if (result.kind === 'busy') {
    // What holds the conversation up may be a turn that nobody ends any more.
    if (await freed(room, input, result.turn)) return startTurn(room, producers, principal, request, setting, onEnd)
    await lookAfter(room, producers, principal, result.turn)
  }
  if (result.kind === 'replayed') {
    onEnd()
    const { conversation, config, arm } = await viewTurn(room, principal, result.turn)
    return { id: result.turn, conversation, config, arm, created: false }
  }
  refuse(result)
  const progress = new Progress()
  progress.replay(first)
  producers.produce({
    input,
    config: setting.config,
    seal,
    history: historyOf(messages),
    messagesAt: next,
    progress,
    known: [first],
    deadline,
    fence: 1,
    leasedAtMs,
    startedAtMs,
    takenOver: false,
    onEnd,
  })
  const { turn: id, conversation, config, arm } = input
  return { id, conversation, config, arm, created: true }
}

function inputOf(principal: Principal, request: Opening, setting: Setting, startedAt: number): TurnInput {
  const alone = 'specialist' in request.in ? { history: request.in.history, parameters: request.in.parameters } : null
  return {
    turn: setting.turn,
    principal,
    conversation: setting.conversation,
    specialist: setting.specialist,
    config: setting.config.name,
    arm: setting.arm,
    cohort: setting.cohort,
    message: request.message ?? '',
    alone,
    followUp: request.followUp ?? null,
    readOnly: request.readOnly ?? false,
    startedAt,
    traceparent: request.traceparent,
  }
}

function startedEvent({ turn, conversation, specialist, config, arm }: TurnInput): TurnEvent {
  const data: TurnEvents['turn.started'] = { turn, conversation, specialist, config, arm }
  return { position: 0, type: 'turn.started', data: JSON.stringify(data) }
}

async function freed(room: ChatRoom, { principal, conversation }: TurnInput, by: string): Promise<boolean> {
  if (conversation === null) return false
  const keys = [turnKeys(principal, by).turn, conversationKeys(principal, conversation).record]
  return room.kv.run(freeConversation, keys, [by])
}

/** What leads sweepers to a turn is kept by another node than the turn, and lost on its own. */
async function lookAfter(room: ChatRoom, producers: Producers, principal: Principal, turn: string): Promise<void> {
  try {
    await takeOver(room, producers, principal, turn)
  } catch (error) {
    room.log.warn({ turn, err: error }, 'A turn that holds up its conversation could not be looked after')
  }
}

/** The deadline is noted with the turn, and sent first: with one node, a crash leaves an entry too many, never a turn too few. */
async function open(
  room: ChatRoom,
  input: TurnInput,
  request: TurnRequest,
  seal: Seal,
  first: TurnEvent,
  { shard, member }: DeadlineEntry,
): Promise<OpenResult> {
  const { principal, turn, conversation } = input
  const { turn: record, log } = turnKeys(principal, turn)
  // Without an Idempotency-Key its place is not looked at.
  const { idempotencyKey: given } = request
  const keys = [record, given === undefined ? record : idempotencyKey(principal, given), log]
  if (conversation !== null) {
    const { record: kept, messages, index } = conversationKeys(principal, conversation)
    keys.push(kept, messages, index)
  }
  const [, result] = await Promise.all([
    room.kv.run(noteDeadline, [shard], [member, room.leaseMs]),
    room.kv.run(openTurn, keys, [
      turn,
      room.replica,
      room.leaseMs,
      seal.seal(JSON.stringify(input), placeOf(record, 'input')),
      turnLifetimes.turnMs,
      request.idempotencyKey === undefined ? '' : digestOf(request, seal),
      turnLifetimes.idempotencyMs,
      room.conversationIdleMs,
      seal.seal(encodeEvents([first]), placeOf(log, 0)),
      turnLifetimes.openLogMs,
    ]),
  ])
  return result
}

/** Of what is asked, not of what serves it: that is drawn anew when the same request comes again. */
function digestOf({ in: asked, message, readOnly }: TurnRequest, seal: Seal): string {
  const { served: _, ...where } = { served: undefined, ...asked }
  return seal.digest(JSON.stringify([where, message, readOnly]))
}

function refuse(result: OpenResult): void {
  if (result.kind === 'mismatch') throw new ParleyError('idempotency_mismatch')
  if (result.kind === 'gone') throw new ParleyError('conversation_not_found')
  if (result.kind === 'busy') throw new ParleyError('turn_in_progress')
}
