import type { Fault } from './fault.ts'

const SHOWN_NAMES = 20

type Named = Readonly<Record<string, unknown>>

/**
 * Names that lead nowhere, and names that mean two things. Takes the document as it was written, of whatever shape, so
 * that these faults are told together with those of the shape.
 */
export function checkReferences(value: unknown): Fault[] {
  const document = namedOf(value)
  const section = (name: string) => namedOf(document[name])
  const [models, routes, actions] = [section('models'), section('routes'), section('actions')]
  const faults: Fault[] = []

  for (const [name, route] of Object.entries(routes)) {
    faults.push(...checkList(['routes', name, 'models'], namedOf(route).models, 'model', models))
    if (Object.hasOwn(section('specialists'), name)) {
      const message = 'is a specialist too; callers name either by this one name, so they have to differ'
      faults.push({ path: ['routes', name], message })
    }
  }
  for (const [name, specialist] of Object.entries(section('specialists'))) {
    const { route, actions: wanted } = namedOf(specialist)
    faults.push(...checkReference(['specialists', name, 'route'], route, 'route', routes))
    faults.push(...checkList(['specialists', name, 'actions'], wanted, 'action', actions))
  }
  for (const [name, action] of Object.entries(actions)) {
    const { undo, mcp, openapi } = namedOf(action)
    const { action: undoing } = namedOf(undo)
    faults.push(...checkReference(['actions', name, 'undo', 'action'], undoing, 'action', actions))
    const [server, source] = [namedOf(mcp).server, namedOf(openapi).document]
    faults.push(...checkReference(['actions', name, 'mcp', 'server'], server, 'MCP server', section('mcpServers')))
    faults.push(
      ...checkReference(['actions', name, 'openapi', 'document'], source, 'OpenAPI document', section('openapi')),
    )
  }
  return faults
}

function checkList(path: Fault['path'], list: unknown, kind: string, known: Named): Fault[] {
  return Array.isArray(list) ? list.flatMap((name, index) => checkReference([...path, index], name, kind, known)) : []
}

function checkReference(path: Fault['path'], name: unknown, kind: string, known: Named): Fault[] {
  if (typeof name !== 'string' || Object.hasOwn(known, name)) return []
  const names = Object.keys(known)
  const shown = names.slice(0, SHOWN_NAMES).join(', ') + (names.length > SHOWN_NAMES ? ', …' : '')
  const offered = names.length === 0 ? `there are no ${kind}s` : `${kind}s are: ${shown}`
  return [{ path, message: `no ${kind} ${JSON.stringify(name)}; ${offered}` }]
}

function namedOf(value: unknown): Named {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
