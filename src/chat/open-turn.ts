import type { ConfigVersion } from '#config/document.ts'
import { conversationKeys } from '#conversations/keys.ts'
import type { Seal } from '#conversations/vault.ts'
import { ParleyError } from '#errors.ts'
import type { Principal } from '#identity/principal.ts'
import { newId } from '#ids.ts'
import type { StartedTurn, TurnRequest } from './chat.ts'
import { encodeEvents } from './event-codec.ts'
import { loadHistory } from './history.ts'
import { turnLifetimes, turnLimits } from './limits.ts'
import type { Producers } from './producers.ts'
import { Progress } from './progress.ts'
import { historyOf } from './prompt.ts'
import { noteDeadline } from './store/deadlines.ts'
import { type OpenResult, openTurn } from './store/open.ts'
import { deadlineMember, idempotencyKey, placeOf, turnKeys } from './store/turn-keys.ts'
import type { ChatRoom } from './turn-context.ts'
import type { Arm, TurnEvent, TurnEvents } from './turn-events.ts'
import type { FollowUpInput, TurnInput } from './turn-input.ts'

/** Where a turn belongs: what never changes over a conversation's life. */
export interface Setting {
  conversation: string | null
  specialist: string
  config: ConfigVersion
  arm: Arm
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
  const input = inputOf(principal, request, setting, room.clock.now())
  if (Buffer.byteLength(input.message) > turnLimits.messageBytes) throw new ParleyError('message_too_large')
  const seal = await room.conversations.seal(principal)
  const leasedAtMs = room.clock.monotonic()
  const first = startedEvent(input)
  const opening = open(room, input, request, seal, first)
  // In the same tick, behind the opening: once the turn is open, nobody else adds to the history.
  const history = loadHistory(room, principal, setting.conversation)
  const [result, { messages, next }] = await Promise.all([opening, history])
  const started = { conversation: setting.conversation, config: setting.config.name }
  if (result.kind === 'replayed') {
    onEnd()
    return { id: result.turn, ...started, created: false }
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
    fence: 1,
    leasedAtMs,
    takenOver: false,
    onEnd,
  })
  return { id: input.turn, ...started, created: true }
}

function inputOf(principal: Principal, request: Opening, setting: Setting, startedAt: number): TurnInput {
  const alone = 'specialist' in request.in ? { history: request.in.history, parameters: request.in.parameters } : null
  return {
    turn: newId('turn'),
    principal,
    conversation: setting.conversation,
    specialist: setting.specialist,
    config: setting.config.name,
    arm: setting.arm,
    message: request.message ?? '',
    alone,
    followUp: request.followUp ?? null,
    readOnly: request.readOnly ?? false,
    startedAt,
  }
}

function startedEvent({ turn, conversation, specialist, config, arm }: TurnInput): TurnEvent {
  const data: TurnEvents['turn.started'] = { turn, conversation, specialist, config, arm }
  return { position: 0, type: 'turn.started', data: JSON.stringify(data) }
}

/** The deadline is noted before the turn exists: a crash in between leaves an entry too many, never a turn too few. */
async function open(
  room: ChatRoom,
  input: TurnInput,
  request: TurnRequest,
  seal: Seal,
  first: TurnEvent,
): Promise<OpenResult> {
  const { principal, turn, conversation } = input
  const { shard, member } = deadlineMember(principal, turn)
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

function digestOf({ in: where, message, readOnly }: TurnRequest, seal: Seal): string {
  return seal.digest(JSON.stringify([where, message, readOnly]))
}

function refuse(result: OpenResult): void {
  if (result.kind === 'mismatch') throw new ParleyError('idempotency_mismatch')
  if (result.kind === 'gone') throw new ParleyError('conversation_not_found')
  if (result.kind === 'busy') throw new ParleyError('turn_in_progress')
}
