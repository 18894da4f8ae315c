import type { ConfigDocument } from '#config/document.ts'
import type { Fault } from '#config/fault.ts'
import { checkParameters } from './arguments.ts'
import { builtinExecutors } from './executors/builtin/registry.ts'

/** What is wrong with the actions of a config version. */
export function checkActions({ actions = {} }: Pick<ConfigDocument, 'actions'>): Fault[] {
  return Object.entries(actions).flatMap(([name, { builtin, parameters }]) => {
    const faults: Fault[] = checkParameters(parameters).map(({ path, message }) => {
      return { path: ['actions', name, 'parameters', ...path], message }
    })
    if (builtin !== undefined && !builtinExecutors.has(builtin)) {
      const message = `no built-in function "${builtin}"; there are: ${[...builtinExecutors.keys()].join(', ')}`
      faults.push({ path: ['actions', name, 'builtin'], message })
    }
    return faults
  })
}
