import { type AlertsEnv, readAlerts } from './alerts.ts'
import type { Reader } from './reader.ts'

/** What callers may ask for; a limit of 0 is none. */
export interface GovernanceEnv {
  /** On all replicas together. */
  limits: {
    /** Of a principal, a minute. */
    requestsPerMinute: number
    tenantRequestsPerMinute: number
    /** Of an application, for itself or for users. */
    clientRequestsPerMinute: number
    /** Turns and relayed requests of a principal at once. */
    streamsAtOnce: number
    /** Of a principal, a day by UTC. */
    tokensPerDay: number
    /** Of a tenant, in the first 24 hours after it was first seen. */
    firstDayRequests: number
  }
  /** Of an address, on each replica, before it is known who calls. */
  addressRequestsPerMinute: number
  alerts: AlertsEnv
  /** Proxies whose `x-forwarded-for` is believed: addresses, and ranges in CIDR notation. */
  trustedProxies: readonly string[]
}

/** Who sits alone at a machine is under no limits, unless they are set. */
export function readGovernance(read: Reader, faults: string[]): GovernanceEnv {
  const isAlone = read.text('ENTRA_TENANT_ID') === undefined
  const limit = (name: string, fallback: number) =>
    read.integer(`PARLEY_LIMIT_${name}`, isAlone ? 0 : fallback, 0, 10_000_000)
  return {
    limits: {
      requestsPerMinute: limit('REQUESTS_PER_MINUTE', 100),
      tenantRequestsPerMinute: limit('TENANT_REQUESTS_PER_MINUTE', 10_000),
      clientRequestsPerMinute: limit('CLIENT_REQUESTS_PER_MINUTE', 10_000),
      streamsAtOnce: limit('STREAMS', 5),
      tokensPerDay: limit('TOKENS_PER_DAY', 100_000),
      firstDayRequests: limit('FIRST_DAY_REQUESTS', 0),
    },
    addressRequestsPerMinute: limit('ADDRESS_REQUESTS_PER_MINUTE', 3000),
    alerts: readAlerts(read, faults),
    trustedProxies: read.list('PARLEY_TRUSTED_PROXIES'),
  }
}
