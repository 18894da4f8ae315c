import { createHash } from 'node:crypto'

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
}

export type Role =
  | 'Chat.User'
  | 'Action.Approver'
  | 'Config.Operator'
  | 'Finance.Operator'
  | 'Privacy.Officer'
  | 'Admin'

/** What a principal's state is filed under. */
export type Owner = Pick<Principal, 'tenant' | 'id'>

/**
 * The partition that holds all of a principal's live state, so that what belongs to one person is found, counted and
 * erased in one place: 22 characters of the SHA-256 over tenant and id.
 */
export function partitionOf(principal: Owner): string {
  return createHash('sha256').update(`${principal.tenant}\n${principal.id}`).digest('base64url').slice(0, 22)
}
