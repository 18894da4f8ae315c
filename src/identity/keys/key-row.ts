import type { KeyView } from '../keys.ts'
import type { KeyGrant, Principal } from '../principal.ts'

export interface KeyRow {
  tenant: string
  id: string
  owner: string | null
  name: string
  groups: readonly string[]
  /** Null where they are all of them. */
  groupsAmong: readonly string[] | null
  chat: readonly string[]
  actions: readonly string[]
  budgetUsd: number | null
  budgetPeriod: 'day' | 'month' | null
  hash: Buffer
  oldHash: Buffer | null
  oldUntil: number | null
  createdAt: number
  expiresAt: number
  rotatedAt: number | null
  revokedAt: number | null
  usedAt: number | null
  version: number
}

export const KEY_COLUMNS = `tenant, id, owner, name, groups, groups_among AS "groupsAmong", chat, actions, budget_usd AS "budgetUsd",
  budget_period AS "budgetPeriod", hash, old_hash AS "oldHash", old_until AS "oldUntil", created_at AS "createdAt",
  expires_at AS "expiresAt", rotated_at AS "rotatedAt", revoked_at AS "revokedAt", used_at AS "usedAt", version`

export function statusOf({ revokedAt, expiresAt }: KeyRow, now: number): KeyView['status'] {
  if (revokedAt !== null) return 'revoked'
  return now >= expiresAt ? 'expired' : 'live'
}

export function viewOf(row: KeyRow, now: number): KeyView {
  const { id, name, owner, chat, actions, createdAt, expiresAt, rotatedAt, oldUntil, revokedAt, usedAt, version } = row
  const status = statusOf(row, now)
  return {
    ...{ id, name, owner, status, chat, actions, budget: budgetOf(row), createdAt, expiresAt, rotatedAt },
    oldTextUntil: status === 'live' && oldUntil !== null && oldUntil > now ? oldUntil : null,
    ...{ revokedAt, usedAt, version },
  }
}

/**
 * Nobody but the key itself: a service, so that nothing is done on behalf of a user. It talks, whatever else its owner may do: what
 * operates or approves takes somebody who is there.
 */
export function principalOf(row: KeyRow): Principal {
  const { tenant, id, name, groups, groupsAmong, owner, chat, actions } = row
  return {
    ...{ tenant, id, name, kind: 'service', roles: ['Chat.User'], scopes: [] },
    ...(groups.length > 0 && { groups }),
    ...(groupsAmong && { groups, groupsAmong }),
    key: { owner: owner ?? '', chat, actions, budget: budgetOf(row) },
  }
}

function budgetOf({ budgetUsd, budgetPeriod }: KeyRow): KeyGrant['budget'] {
  return budgetUsd === null || budgetPeriod === null ? null : { limitUsd: budgetUsd, period: budgetPeriod }
}
