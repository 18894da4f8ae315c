import type { ActionSpec, McpServerSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import { type Principal, partitionOf } from '#identity/principal.ts'
import type { Log } from '#log.ts'
import type { Clock } from '#platform/clock.ts'
import { canonicalJson } from '../../canonical-json.ts'
import { type Executor, type ExecutorKind, PassingError } from '../executor.ts'
import { Connection } from './connection.ts'
import { type Permissions, serverOf, type Target, targetOf } from './permitted.ts'

const MAX_CONNECTIONS = 500

export interface McpExecutorsOptions extends Permissions {
  clock: Clock
  log: Log
  /** How to call out, where the environment guards that; redirects are never left to it. */
  fetch: typeof fetch
}

interface ServerUse {
  server: string
  spec: McpServerSpec
  target: Target
}

/**
 * Actions that are tools of Model Context Protocol servers. A server is connected to when first needed, one connection for all
 * whose config versions say the same of it; where it wants tokens of users, one per user. A version cannot make us call a host
 * or start a command that the environment does not permit.
 */
export function createMcpExecutors(options: McpExecutorsOptions): ExecutorKind {
  const { clock, log, fetch } = options
  const connections = new Map<string, Connection>()
  const drifted = new Set<string>()

  function connectionTo(use: ServerUse, principal: Principal): Connection {
    const { server, spec, target } = use
    const id = canonicalJson([server, spec, spec.onBehalfOf === undefined ? null : partitionOf(principal)])
    const known = connections.get(id)
    if (known) return known
    if (connections.size >= MAX_CONNECTIONS) {
      throw new PassingError('Too many MCP servers are in use.', { reason: 'connections_full', untouched: true })
    }
    const onIdle = () => connections.delete(id)
    const connection = new Connection({ server, target, fetch, clock, log, drifted, onIdle })
    connections.set(id, connection)
    return connection
  }

  function executorOf(document: ConfigDocument, { mcp }: ActionSpec): Executor | undefined {
    if (!mcp) return undefined
    const { tool, pin } = mcp
    const use = useOf(document, mcp.server, options)
    const scope = use.spec.onBehalfOf
    return async (args, context) => {
      const token = scope === undefined ? undefined : await context.userToken(scope)
      return connectionTo(use, context.principal).call({ tool, pin, args }, context, token)
    }
  }

  return {
    executorOf: (document, _name, spec) => executorOf(document, spec),
    close: async () => {
      await Promise.all([...connections.values()].map((connection) => connection.close()))
      connections.clear()
    },
  }
}

function useOf(document: ConfigDocument, server: string, permissions: Permissions): ServerUse {
  const spec = serverOf(document, server)
  const target = spec && targetOf(spec, permissions)
  if (spec && target && !Array.isArray(target)) return { server, spec, target }
  throw new Error('The config version names an MCP server that this environment does not permit.')
}
