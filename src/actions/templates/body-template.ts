import { type Arguments, argumentOf, fill, namesIn, soleName } from './placeholder.ts'

/**
 * The body with its arguments in it. A string that is nothing but a placeholder becomes the argument with its type; what
 * names an argument that was left out is left out, too. Undefined: no body. Keys stay as they are.
 */
export function renderBody(template: unknown, args: Arguments): unknown {
  if (typeof template === 'string') return renderText(template, args)
  if (typeof template !== 'object' || template === null) return template
  if (Array.isArray(template))
    return template.map((item) => renderBody(item, args)).filter((item) => item !== undefined)
  const entries = Object.entries(template).map(([key, value]) => [key, renderBody(value, args)] as const)
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

/** Each placeholder of a body, by the path of its string. */
export function bodyNames(template: unknown, path: readonly (string | number)[] = []): BodyName[] {
  if (typeof template === 'string') return namesIn(template).map((name) => ({ name, path }))
  if (typeof template !== 'object' || template === null) return []
  if (Array.isArray(template)) return template.flatMap((item, index) => bodyNames(item, [...path, index]))
  return Object.entries(template).flatMap(([key, value]) => bodyNames(value, [...path, key]))
}

interface BodyName {
  name: string
  path: readonly (string | number)[]
}

function renderText(template: string, args: Arguments): unknown {
  const name = soleName(template)
  return name === undefined ? fill(template, args, (value) => value) : argumentOf(args, name)
}
