import type { ActionSpec } from '#config/action-spec.ts'
import type { ConfigDocument } from '#config/document.ts'
import type { Executor, ExecutorKind, Executors } from './executor.ts'

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
    async close() {
      await Promise.all(kinds.map((kind) => kind.close?.()))
    },
  }
}
