import type { Reader } from './reader.ts'
import { hasBlobStore } from './rollout.ts'

export interface ActionsEnv {
  /** Runs that this replica executes at once. */
  runsAtOnce: number
  /** Runs of all replicas that may wait to be executed. */
  runsWaiting: number
  runLeaseMs: number
  /** Hosts that actions may call. */
  egressHosts: readonly string[]
  /** Ranges of private addresses that actions may reach, in CIDR notation. */
  privateRanges: readonly string[]
  /** Commands that may be started as MCP servers, word by word. */
  mcpCommands: readonly (readonly string[])[]
  /** Whether tools of others have to be pinned by hash. */
  pinned: boolean
}

export function readActions(read: Reader): ActionsEnv {
  return {
    runsAtOnce: read.integer('PARLEY_RUNS_AT_ONCE', 64, 1, 10_000),
    runsWaiting: read.integer('PARLEY_RUNS_WAITING', 10_000, 1, 10_000_000),
    runLeaseMs: read.integer('PARLEY_RUN_LEASE_MS', 15_000, 500, 600_000),
    egressHosts: read.list('PARLEY_EGRESS_HOSTS'),
    privateRanges: read.list('PARLEY_EGRESS_PRIVATE'),
    mcpCommands: read.list('PARLEY_MCP_COMMANDS').map((command) => command.split(/\s+/)),
    pinned:
      read.oneOf('PARLEY_PINS', ['required', 'optional'], hasBlobStore(read) ? 'required' : 'optional') === 'required',
  }
}
