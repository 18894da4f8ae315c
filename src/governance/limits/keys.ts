import { hash } from 'node:crypto'
import { type Key, key } from '#platform/kv/kv.ts'

export interface LimitKeys {
  /** Record: `rate`, `first` (when the tenant was first seen), `begun` (its requests of the first day). */
  tenant: Key
  /** Record: `rate`. */
  client: Key
  /** Record: `rate`; `day`, `used`, `reserved` tokens; `h:<id>`, what an admission reserved. */
  principal: Key
  /** Index: what the principal has under way, by the end of its lease. */
  held: Key
}

/**
 * All that an admission looks at is in one partition of the tenant, for it is one atomic step. Principals go by their partition,
 * which names nobody and is what facts tell of them.
 */
export function limitKeys(tenant: string, principal: string, client: string): LimitKeys {
  const partition = partitionOfTenant(tenant)
  return {
    tenant: key(partition, 'tenant'),
    client: key(partition, `client:${short(client)}`),
    principal: key(partition, `principal:${principal}`),
    held: key(partition, `held:${principal}`),
  }
}

/** Record: the units whose tokens were counted, of about one day. */
export function countedKey(tenant: string, principal: string, day: number): Key {
  return key(partitionOfTenant(tenant), `counted:${day}:${principal}`)
}

export function partitionOfTenant(tenant: string): string {
  return `limits-${short(tenant)}`
}

function short(id: string): string {
  return hash('sha256', id, 'base64url').slice(0, 22)
}
