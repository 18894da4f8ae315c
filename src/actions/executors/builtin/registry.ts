import type { Executor, ExecutorKind } from '../executor.ts'
import { arithmetic } from './arithmetic.ts'
import { currentTime } from './current-time.ts'

/** By the name that a config version gives as `builtin`. */
export const builtinExecutors: ReadonlyMap<string, Executor> = new Map([
  ['calculate', arithmetic],
  ['current_time', currentTime],
])

/** Functions of this codebase. */
export function createBuiltinExecutors(functions: ReadonlyMap<string, Executor> = builtinExecutors): ExecutorKind {
  return {
    executorOf: (_document, _name, { builtin }) => (builtin === undefined ? undefined : functions.get(builtin)),
  }
}
