import type { DeterministicFault, Served, SpentSegment, TurnEnded } from '#events/events.ts'
import { type Owner, type Principal, partitionOf } from '#identity/principal.ts'
import type { Segment } from '#models/answer.ts'
import { statusOf } from './archiving.ts'
import { loadFinished } from './store/finished.ts'
import { placeOf, turnKeys } from './store/turn-keys.ts'
import type { ChatRoom } from './turn-context.ts'
import type { Receipt, TurnEvents } from './turn-events.ts'
import { readInput, type TurnInput, type TurnOutcome, unitOf } from './turn-input.ts'

/** What is told of a turn that has ended: the same by whoever committed it and from its record. */
export function turnEnded(input: TurnInput, { terminal, firstTokenMs = null }: TurnOutcome): TurnEnded {
  const { receipt, finish, error }: Terminal = JSON.parse(terminal.data)
  const { segments } = receipt
  return {
    ...servedOf(input),
    turn: input.turn,
    conversation: input.conversation,
    principal: partitionOf(input.principal),
    tenant: input.principal.tenant,
    ...groupsOf(input.principal),
    specialist: input.specialist,
    status: statusOf(terminal),
    finish: finish ?? null,
    code: error?.code ?? null,
    segments: segments.map(spent),
    faults: [...misconfigured(segments), ...rejected(input, segments, error)],
    firstTokenMs,
    startedAt: input.startedAt,
    endedAt: Date.parse(receipt.endedAt),
  }
}

/** What is to be told of a turn, from its record: nothing where that is gone. */
export async function recalledEnd(
  { kv, conversations }: Pick<ChatRoom, 'kv' | 'conversations'>,
  owner: Owner,
  turn: string,
): Promise<TurnEnded | undefined> {
  const keys = turnKeys(owner, turn)
  const [record, seal] = await Promise.all([kv.run(loadFinished, [keys.turn], []), conversations.seal(owner)])
  if (!record) return undefined
  const outcome: TurnOutcome = JSON.parse(seal.unseal(record.outcome, placeOf(keys.turn, 'end')).toString())
  return turnEnded(readInput(seal, keys, record.input), outcome)
}

export function servedOf(input: TurnInput): Served {
  const { config, arm, cohort } = input
  return { config, arm, cohort, unit: unitOf(input) }
}

export function groupsOf({ groups = [] }: Pick<Principal, 'groups'>): Pick<TurnEnded, 'groups'> {
  return groups.length > 0 ? { groups } : {}
}

export function spent(segment: Segment): SpentSegment {
  const { model, inputTokens, outputTokens, costUsd, estimated } = segment
  const { provider, outcome, reason, firstTokenMs, durationMs } = segment
  const call = { provider, outcome, reason, firstTokenMs, durationMs }
  return { model, inputTokens, outputTokens, costUsd, ...(estimated && { estimated }), call }
}

/** Calls of models that their providers do not know, or do not let us use. */
export function misconfigured(segments: readonly Segment[]): DeterministicFault[] {
  return segments
    .filter(({ reason }) => reason === 'misconfigured')
    .map(({ model }) => ({ model, kind: 'misconfigured' }))
}

type Terminal = { receipt: Receipt; finish?: string } & Partial<Pick<TurnEvents['turn.failed'], 'error'>>

function rejected(input: TurnInput, segments: Receipt['segments'], error: Terminal['error']): DeterministicFault[] {
  if (error?.code !== 'provider_rejected' || !isOurDoing(input, error.param)) return []
  const refused = segments.findLast(({ outcome, reason }) => outcome === 'failed' && reason === undefined)
  return refused ? [{ model: refused.model, kind: 'rejected' }] : []
}

/** Whether what the provider calls invalid can only come from the config version. */
function isOurDoing({ alone }: TurnInput, param: string | null): boolean {
  if (!alone) return true
  const { history, parameters } = alone
  if (param?.startsWith('tools') && parameters.tools === undefined) return true
  const isText = history.every(({ role, content }) => role !== 'tool' && typeof content === 'string')
  return isText && Object.keys(parameters).length === 0
}
