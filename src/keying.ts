import type { Audit } from '#governance/audit.ts'
import type { Stops } from '#governance/stops.ts'
import type { Authenticator } from '#identity/authenticator.ts'
import { createKeyAuthenticator } from '#identity/keys/authenticator.ts'
import { createKeys, type KeysOptions } from '#identity/keys/create.ts'
import type { Keys, RecordKey } from '#identity/keys.ts'
import { partitionOf } from '#identity/principal.ts'
import type { IdentityEnv } from './env.ts'

export interface KeyingOptions extends Omit<KeysOptions, 'withdrawals' | 'record' | 'serves'> {
  /** A key that is withdrawn is one more thing that is not to go on. */
  stops: Stops
  audit: Pick<Audit, 'within'>
  identity: IdentityEnv
  /** Of who comes without a key. */
  others: Authenticator
}

/** Parley keys, and who comes with one; what is done to them stands in the audit log or is not done. */
export function openKeying(options: KeyingOptions): { keys: Keys; authenticator: Authenticator } {
  const { stops, audit, identity, others, ...rest } = options
  const record: RecordKey = (tx, { kind, by, tenant, key, details }) =>
    audit.within(tx, { tenant, kind: `key.${kind}`, actor: by && partitionOf(by), subject: key, details })
  const served = new Set(identity.engine === 'local' ? ['local'] : [identity.tenant, ...identity.guests])
  const serves = (tenant: string) => served.has(tenant)
  const keys = createKeys({ ...rest, withdrawals: stops, record, serves })
  return { keys, authenticator: createKeyAuthenticator({ keys, others, checksOthers: identity.engine === 'local' }) }
}
