import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'

/** Who is calling, for which organisation. */
export interface Principal {
  /** Entra `tid`, or `local`. */
  tenant: string
  /** Entra `oid`, or `local`. */
  id: string
  name: string
  kind: 'user' | 'service'
  roles: readonly Role[]
  scopes: readonly string[]
  /** Ids of Entra groups, where the token names them: for budgets. */
  groups?: readonly string[]
  /** There are more than the token names: only of these is it known whether they are among the groups. */
  groupsAmong?: readonly string[]
  /** The application that asks, for itself or for a user: for limits. */
  client?: string
  /** Of a Parley key: what it was made for. */
  key?: KeyGrant
}

/** What a Parley key may be used for; `*` among names is every one. */
export interface KeyGrant {
  /** The id of the person who made it. */
  owner: string
  /** Specialists, and routes of `/v1`, that it may talk to. */
  chat: readonly string[]
  /** Actions that it may call, by itself or through a specialist. */
  actions: readonly string[]
  /** What it may spend, in each period of the calendar. */
  budget: { limitUsd: number; period: 'day' | 'month' } | null
}

export const roles = [
  'Chat.User',
  'Action.Approver',
  'Config.Operator',
  'Finance.Operator',
  'Privacy.Officer',
  'Admin',
] as const
export type Role = (typeof roles)[number]

/** What a principal's state is filed under. */
export type Owner = Pick<Principal, 'tenant' | 'id'>

const OBJECT_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** An id of a tenant, a person or a group as tokens have it: in lower case, where it is one of Entra ID. */
export function idAsInTokens(id: string): string {
  return OBJECT_ID.test(id) ? id.toLowerCase() : id
}

const known = new LRUCache<string, string>({ max: 10_000 })

/**
 * The partition that holds all of a principal's live state, so that what belongs to one person is found, counted and
 * erased in one place: 22 characters of the SHA-256 over tenant and id. A turn asks for it some twenty times.
 */
export function partitionOf({ tenant, id }: Owner): string {
  const whose = `${tenant}\n${id}`
  const cached = known.get(whose)
  if (cached !== undefined) return cached
  const partition = hash('sha256', whose, 'base64url').slice(0, 22)
  known.set(whose, partition)
  return partition
}
