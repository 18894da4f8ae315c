import type { ActionSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import type { Fault } from '#config/fault.ts'
import { hostRules } from '#platform/hosts.ts'
import { checkHttp } from './http/check.ts'
import { checkTool } from './mcp/permitted.ts'
import { checkOperation } from './openapi/check.ts'

/** What the environment lets config versions use: plain data, so that they can be checked in a thread of their own. */
export interface PermittedActions {
  /** Names that `builtin` may give. */
  functions: readonly string[]
  /** Hosts that may be called: `host`, `host:port` or `*.suffix`. */
  egressHosts: readonly string[]
  /** Commands that may be started, word by word. */
  mcpCommands: readonly (readonly string[])[]
  /** Whether tools of others have to be pinned. */
  pinned: boolean
}

const KINDS = ['builtin', 'http', 'mcp', 'openapi'] as const

/** What is wrong with the part of actions that says who does it. */
export function checkExecutors(document: ConfigDocument, permitted: PermittedActions): Fault[] {
  const permits = hostRules(permitted.egressHosts)
  const commands = permitted.mcpCommands
  return Object.entries(document.actions ?? {}).flatMap(([name, spec]) => [
    ...checkKind(name, spec),
    ...checkBuiltin(name, spec, permitted.functions),
    ...checkCall(name, spec, permits),
    ...checkTool(document, name, spec, { permits, commands }),
    ...checkOperation(document, name, spec, permits),
    ...(permitted.pinned ? checkPin(name, spec) : []),
  ])
}

function checkKind(name: string, spec: ActionSpec): Fault[] {
  const named = KINDS.filter((kind) => spec[kind] !== undefined)
  if (named.length === 1) return []
  const found = named.length === 0 ? 'none is here' : `here are ${named.join(' and ')}`
  return [{ path: ['actions', name], message: `has to name one of ${KINDS.join(', ')}; ${found}` }]
}

function checkBuiltin(name: string, { builtin }: ActionSpec, functions: readonly string[]): Fault[] {
  if (builtin === undefined || functions.includes(builtin)) return []
  const message = `no built-in function "${builtin}"; there are: ${functions.join(', ')}`
  return [{ path: ['actions', name, 'builtin'], message }]
}

function checkCall(name: string, { http, parameters }: ActionSpec, permits: (url: URL) => boolean): Fault[] {
  if (!http) return []
  return checkHttp(http, parameters, permits).map(({ path, message }) => {
    return { path: ['actions', name, 'http', ...path], message }
  })
}

function checkPin(name: string, spec: ActionSpec): Fault[] {
  return (['mcp', 'openapi'] as const).flatMap((kind) => {
    if (!spec[kind] || spec[kind].pin !== undefined) return []
    const message =
      'is missing: this environment wants tools of others held to the hash that they had when they were reviewed (PARLEY_PINS)'
    return [{ path: ['actions', name, kind, 'pin'], message }]
  })
}
