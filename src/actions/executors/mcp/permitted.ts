import type { ActionSpec, McpServerSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import type { Fault } from '#config/fault.ts'
import { clearTextFault } from '../in-clear.ts'

/** What the environment lets config versions reach and start. */
export interface Permissions {
  /** Whether the environment's list of hosts lets this address through. */
  permits: (url: URL) => boolean
  /** Command lines, word by word. */
  commands: readonly (readonly string[])[]
}

/** Where a server is: an address to call, or what to start. */
export type Target = { url: URL } | { command: readonly string[] }

/** What the protocol allows as the name of a tool. The model sees the action's name, never this one. */
const TOOL_NAME = /^[A-Za-z0-9_./-]{1,128}$/

/** What is wrong with an action's `mcp` part. What is wrong with a server is told by the first action that uses it. */
export function checkTool(
  document: ConfigDocument,
  name: string,
  { mcp: spec }: ActionSpec,
  permissions: Permissions,
): Fault[] {
  if (!spec) return []
  const path = ['actions', name, 'mcp']
  const faults: Fault[] = []
  if (!TOOL_NAME.test(spec.tool)) {
    faults.push({ path: [...path, 'tool'], message: 'is not a name of a tool: letters, digits, _ - . and /' })
  }
  const server = serverOf(document, spec.server)
  if (!server) {
    const names = Object.keys(document.mcpServers ?? {})
    const offered = names.length === 0 ? 'there are no mcpServers' : `mcpServers are: ${names.join(', ')}`
    return [
      ...faults,
      { path: [...path, 'server'], message: `no MCP server ${JSON.stringify(spec.server)}; ${offered}` },
    ]
  }
  const users = Object.entries(document.actions ?? {}).filter(([, { mcp }]) => mcp?.server === spec.server)
  if (users[0] && users[0][0] !== name) return faults
  const target = targetOf(server, permissions)
  if (!Array.isArray(target)) return faults
  return [...faults, ...target.map(({ path, message }) => ({ path: ['mcpServers', spec.server, ...path], message }))]
}

export function serverOf({ mcpServers = {} }: ConfigDocument, name: string): McpServerSpec | undefined {
  return Object.hasOwn(mcpServers, name) ? mcpServers[name] : undefined
}

/** Where the server is, or why it is not to be used; paths are within its spec. */
export function targetOf({ url, command, onBehalfOf }: McpServerSpec, permissions: Permissions): Target | Fault[] {
  if ((url === undefined) === (command === undefined)) {
    return [{ path: [], message: 'needs either a url or a command' }]
  }
  if (url !== undefined) {
    const target = addressOf(url, permissions)
    const message = 'url' in target && onBehalfOf !== undefined ? clearTextFault(target.url) : undefined
    return message === undefined ? target : [{ path: ['onBehalfOf'], message }]
  }
  if (command === undefined) return []
  if (onBehalfOf !== undefined) {
    return [{ path: ['onBehalfOf'], message: 'goes with a url: a command has no place for the token of a user' }]
  }
  const permitted = permissions.commands.some((words) => {
    return words.length === command.length && words.every((word, index) => word === command[index])
  })
  return permitted ? { command } : [{ path: ['command'], message: 'is not permitted by the environment, word by word' }]
}

function addressOf(address: string, { permits }: Permissions): Target | Fault[] {
  const path = ['url']
  const url = URL.parse(address)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return [{ path, message: 'is not an http(s) address' }]
  }
  if (url.username || url.password || url.search || url.hash) {
    return [{ path, message: 'must not carry credentials, a query or a fragment' }]
  }
  if (permits(url)) return { url }
  return [{ path, message: `names a host that the environment does not permit: ${url.host} (PARLEY_EGRESS_HOSTS)` }]
}
