import { isUnreadable, throwAsGone } from '#conversations/erased.ts'
import type { Seal } from '#conversations/vault.ts'
import { ParleyError } from '#errors.ts'
import { opening } from '#identity/owners-seal.ts'
import type { Principal } from '#identity/principal.ts'
import { archivedTurn } from './archiving.ts'
import type { TurnView } from './chat.ts'
import { readFeedback } from './feedback.ts'
import { Progress } from './progress.ts'
import { readLog } from './read-log.ts'
import { loadTurn } from './store/commands.ts'
import { placeOf, turnKeys } from './store/turn-keys.ts'
import type { ChatRoom } from './turn-context.ts'
import type { Receipt, TurnEvents } from './turn-events.ts'
import { readInput, type TurnOutcome } from './turn-input.ts'

const { code, message } = new ParleyError('turn_lost')
const LOST = { code, message }

/** A turn as it stands: from its outcome when it has ended, else folded from its log. Rejects with turn_not_found. */
export function viewTurn(room: ChatRoom, principal: Principal, turn: string): Promise<TurnView> {
  const read = (seal: Seal) => view(room, principal, turn, seal)
  const viewed = room.conversations.seal(principal).then((seal) => opening(seal, read))
  return viewed.catch(throwAsGone('turn_not_found'))
}

async function view(room: ChatRoom, principal: Principal, turn: string, seal: Seal): Promise<TurnView> {
  const keys = turnKeys(principal, turn)
  const record = await room.kv.run(loadTurn, [keys.turn], [])
  if (!record) return viewArchived(room, principal, turn)
  const read = <Value>(sealed: Buffer, field: string): Value =>
    JSON.parse(seal.unseal(sealed, placeOf(keys.turn, field)).toString())
  const { conversation, specialist, config, arm, message } = readInput(seal, keys, record.input)
  const known = { id: turn, conversation, specialist, config, arm, message }
  const feedback = readFeedback(seal, keys.turn, record.feedback)
  if (record.end) {
    const { text, terminal } = read<TurnOutcome>(record.end, 'end')
    return { ...known, text, position: record.top, feedback, ...endOf(terminal) }
  }
  // Without an end it was given up.
  const isLost = record.state === 'done'
  const progress = new Progress()
  try {
    for await (const batch of readLog(room.kv, keys, seal, -1)) for (const event of batch) progress.replay(event)
  } catch (error) {
    if (!isLost || !isUnreadable(error)) throw error
  }
  return {
    ...known,
    status: isLost ? 'failed' : 'running',
    text: progress.text,
    position: progress.next - 1,
    receipt: null,
    error: isLost ? LOST : null,
    toolCalls: [],
    feedback,
  }
}

async function viewArchived(room: ChatRoom, principal: Principal, turn: string): Promise<TurnView> {
  const keys = turnKeys(principal, turn)
  const { input, outcome, feedback: judged, seal } = await archivedTurn(room, principal, turn)
  const { conversation, specialist, config, arm, message } = readInput(seal, keys, input)
  const { text, terminal }: TurnOutcome = JSON.parse(seal.unseal(outcome, placeOf(keys.turn, 'end')).toString())
  const { position } = terminal
  const known = { id: turn, conversation, specialist, config, arm, message }
  const feedback = readFeedback(seal, keys.turn, judged)
  return { ...known, text, position, feedback, ...endOf(terminal) }
}

/** What the terminal event says of a turn. */
function endOf({ type, data }: TurnOutcome['terminal']): Pick<TurnView, 'status' | 'receipt' | 'error' | 'toolCalls'> {
  if (type === 'turn.completed') {
    const { receipt, toolCalls }: TurnEvents['turn.completed'] = JSON.parse(data)
    const calls = toolCalls?.map(({ id, function: called }) => ({ id, ...called })) ?? []
    return { status: 'completed', receipt, error: null, toolCalls: calls }
  }
  const { receipt, error }: Partial<TurnEvents['turn.failed']> & { receipt: Receipt } = JSON.parse(data)
  const said = error ? { code: error.code, message: error.message } : null
  return { status: error ? 'failed' : 'cancelled', receipt, error: said, toolCalls: [] }
}
