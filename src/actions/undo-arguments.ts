import { valueAt } from './rules.ts'
import { bodyNames, renderBody } from './templates/body-template.ts'

type Values = Readonly<Record<string, unknown>>

/** What the compensating action is called with: `{result.path}` and `{arguments.path}` are those of the run that is undone. */
export function undoArguments(template: Values, done: { result: unknown; arguments: Values }): unknown {
  const named = bodyNames(template).map(({ name }) => [name, valueAt(done, name.split('.'))] as const)
  return renderBody(template, Object.fromEntries(named))
}
