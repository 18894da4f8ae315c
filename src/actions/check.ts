import type { ConfigDocument } from '#config/document.ts'
import type { Fault } from '#config/fault.ts'
import { checkParameters } from './arguments.ts'
import type { Executors } from './executors/executor.ts'

/** What is wrong with the actions of a config version. */
export function checkActions(document: ConfigDocument, executors: Pick<Executors, 'check'>): Fault[] {
  const faults = Object.entries(document.actions ?? {}).flatMap(([name, { parameters, approval }]) => [
    ...checkParameters(parameters).map(({ path, message }) => ({
      path: ['actions', name, 'parameters', ...path],
      message,
    })),
    ...(approval?.editable ?? []).flatMap((argument, at) =>
      hasProperty(parameters, argument)
        ? []
        : [{ path: ['actions', name, 'approval', 'editable', at], message: `no argument "${argument}"` }],
    ),
    ...Object.keys(approval?.when ?? {}).flatMap((path) =>
      hasProperty(parameters, path.split('.')[0] ?? '')
        ? []
        : [{ path: ['actions', name, 'approval', 'when', path], message: 'names no argument' }],
    ),
  ])
  return [...faults, ...executors.check(document)]
}

function hasProperty({ properties }: Readonly<Record<string, unknown>>, name: string): boolean {
  return typeof properties === 'object' && properties !== null && Object.hasOwn(properties, name)
}
