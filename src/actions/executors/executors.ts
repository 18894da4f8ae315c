import type { ActionSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import type { Fault } from '#config/fault.ts'
import type { Executor, ExecutorKind, Executors } from './executor.ts'

const KINDS = ['builtin', 'http', 'mcp', 'openapi'] as const

/** All kinds together: each action names exactly one. */
export function createExecutors(kinds: readonly ExecutorKind[]): Executors {
  function find<Found>(
    { actions = {} }: ConfigDocument,
    name: string,
    of: (kind: ExecutorKind, spec: ActionSpec) => Found | undefined,
  ): Found | undefined {
    const spec = Object.hasOwn(actions, name) ? actions[name] : undefined
    if (!spec) return undefined
    for (const kind of kinds) {
      const found = of(kind, spec)
      if (found !== undefined) return found
    }
    return undefined
  }

  return {
    executorOf(document, name) {
      const executor = find<Executor>(document, name, (kind, spec) => kind.executorOf(document, name, spec))
      if (!executor) throw new Error('The config version names nobody who does this action.')
      return executor
    },
    dryRunOf: (document, name) => find(document, name, (kind, spec) => kind.dryRunOf?.(document, name, spec)),
    check: (document) =>
      Object.entries(document.actions ?? {}).flatMap(([name, spec]) => [
        ...checkKind(name, spec),
        ...kinds.flatMap((kind) => kind.check(document, name, spec)),
      ]),
    async close() {
      await Promise.all(kinds.map((kind) => kind.close?.()))
    },
  }
}

function checkKind(name: string, spec: ActionSpec): Fault[] {
  const named = KINDS.filter((kind) => spec[kind] !== undefined)
  if (named.length === 1) return []
  const found = named.length === 0 ? 'none is here' : `here are ${named.join(' and ')}`
  return [{ path: ['actions', name], message: `has to name one of ${KINDS.join(', ')}; ${found}` }]
}
