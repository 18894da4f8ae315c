import { createHash } from 'node:crypto'
import { ParleyError } from '#errors.ts'
import { type Owner, partitionOf } from '#identity/principal.ts'
import { type Key, key } from '#platform/kv/kv.ts'

export interface TurnKeys {
  /** Record: state, fence, owner, lease, top, cancel, input, end, feedback. */
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
export const deadlineShards: readonly Key[] = Array.from({ length: SHARDS }, (_, shard) =>
  key(`deadlines-${shard}`, 'turns'),
)

/** Who must be looked after, and where: an entry of a deadline index. */
export function deadlineMember(principal: Owner, turn: string): { shard: Key; member: string } {
  const shard = deadlineShards[Number.parseInt(turn.slice(-1), 16) % SHARDS]
  if (!shard) throw new RangeError('a turn id ends with a hexadecimal digit')
  return { shard, member: JSON.stringify([turn, principal.tenant, principal.id]) }
}

export function readDeadlineMember(member: string): { turn: string; tenant: string; id: string } | undefined {
  const parts: unknown = JSON.parse(member)
  if (!Array.isArray(parts)) return undefined
  const [turn, tenant, id] = parts
  return { turn: String(turn), tenant: String(tenant), id: String(id) }
}

/** Where a replica hears commands for the turns it produces. */
export function replicaKey(replica: string): Key {
  return key(replica, 'commands')
}

/** The place a sealed value is bound to. */
export function placeOf(at: Key, what: number | string): string {
  return `${at}@${what}`
}
