import type { ActionSpec } from '../action-spec.ts'
import type { ConfigDocument } from '../document.ts'
import { canonical, isSame } from './json.ts'

/** What an action does, beside what it says of itself. A pin says how a tool was when it was looked at, not which one it is. */
function targetOf({ builtin, http, mcp, openapi }: ActionSpec) {
  if (http) {
    const { method, url, headers = {}, body } = http
    return { method, url, headers, body }
  }
  if (mcp) return { server: mcp.server, tool: mcp.tool }
  if (openapi) return { document: openapi.document, operation: openapi.operation }
  return { builtin }
}

export function isSameTarget(a: ActionSpec, b: ActionSpec): boolean {
  return isSame(targetOf(a), targetOf(b))
}

/** Where the document says what it does: `http`, `mcp`, `openapi` or `builtin`. */
export function placeOfTarget({ http, mcp, openapi }: ActionSpec): string {
  if (http) return 'http'
  if (mcp) return 'mcp'
  return openapi ? 'openapi' : 'builtin'
}

/** What is done by actions of the document that write: a lookup, since a document may have hundreds of either kind. */
export function writtenBy({ actions = {} }: Pick<ConfigDocument, 'actions'>): { has(action: ActionSpec): boolean } {
  const written = new Set(Object.values(actions).flatMap((one) => (one.access === 'read' ? [] : keyOf(one))))
  return { has: (action) => written.has(keyOf(action)) }
}

function keyOf(action: ActionSpec): string {
  return canonical(targetOf(action))
}
