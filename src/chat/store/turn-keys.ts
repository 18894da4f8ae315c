import { createHash } from 'node:crypto'
import type { Veil } from '#conversations/veil.ts'
import { ParleyError } from '#errors.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import { type Key, key } from '#platform/kv/kv.ts'

export interface TurnKeys {
  /** Record: state, fence, owner, lease, lost, top, cancel, input, end, feedback. */
  turn: Key
  /** Log: its sealed events. */
  log: Key
}

const TURN_ID = /^turn_[0-9a-f]{32}$/

export function isTurnId(text: string): boolean {
  return TURN_ID.test(text)
}

/** Throws turn_not_found for what is no turn's id: other things of the principal are kept beside its turns. */
export function turnKeys(principal: Owner, turn: string): TurnKeys {
  if (!isTurnId(turn)) throw new ParleyError('turn_not_found')
  const partition = partitionOf(principal)
  return { turn: key(partition, turn), log: key(partition, `${turn}:log`) }
}

/** Remembers which turn an Idempotency-Key of this principal started. */
export function idempotencyKey(principal: Owner, idempotency: string): Key {
  const digest = createHash('sha256').update(idempotency).digest('base64url')
  return key(partitionOf(principal), `idempotency:${digest}`)
}

/** Our own calls and results beside a call that its caller answers. */
export function carriedCallKey(principal: Owner, callId: string): Key {
  const digest = createHash('sha256').update(callId).digest('base64url')
  return key(partitionOf(principal), `carried:${digest}`)
}

const SHARDS = 16

/** The indexes of deadlines. */
export const deadlineShards: readonly Key[] = shardsOf('veiled-turns')
/** Turns that the archive or the ledger could not be given. Apart, so that those whose producer is gone never wait behind them. */
export const unarchivedShards: readonly Key[] = shardsOf('veiled-unarchived')
/** What replicas of an earlier version keep, with names in the clear, as long as there are any. They look after nothing else. */
export const formerShards = { deadlines: shardsOf('turns'), unarchived: shardsOf('unarchived') } as const

function shardsOf(name: string): readonly Key[] {
  return Array.from({ length: SHARDS }, (_, shard) => key(`deadlines-${shard}`, name))
}

export interface DeadlineEntry {
  /** The index of deadlines that it belongs to. */
  shard: Key
  unarchived: Key
  member: string
}

/** Who must be looked after, and where: an entry of a deadline index. Whose turn it is, only replicas can read. */
export function deadlineEntry({ veil }: Pick<Veil, 'veil'>, principal: Owner, turn: string): DeadlineEntry {
  const place = Number.parseInt(turn.slice(-1), 16) % SHARDS
  const [shard, unarchived] = [deadlineShards[place], unarchivedShards[place]]
  if (!shard || !unarchived) throw new RangeError('a turn id ends with a hexadecimal digit')
  return { shard, unarchived, member: veil(JSON.stringify([turn, principal.tenant, principal.id])) }
}

/** `veiled`: with a master key that is not known here. `undefined` for what is no entry. */
export function readDeadline(
  { unveil }: Pick<Veil, 'unveil'>,
  member: string,
): (Owner & { turn: string }) | 'veiled' | undefined {
  try {
    const plain = member.startsWith('[') ? member : unveil(member)
    if (plain === undefined) return 'veiled'
    const [turn, tenant, id]: unknown[] = JSON.parse(plain)
    if (!isTurnId(String(turn))) return undefined
    return { turn: String(turn), tenant: String(tenant), id: String(id) }
  } catch {
    return undefined
  }
}

/** Where a replica hears commands for the turns it produces. */
export function replicaKey(replica: string): Key {
  return key(replica, 'commands')
}

/** The place a sealed value is bound to. */
export function placeOf(at: Key, what: number | string): string {
  return `${at}@${what}`
}
