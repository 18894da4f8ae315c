import { CorrectableError } from '../executors/executor.ts'

export type Arguments = Readonly<Record<string, unknown>>

const PLACEHOLDER = /\{([^\s{}"']+)\}/g
const ALONE = /^\{([^\s{}"']+)\}$/

/** The arguments that a template's text names, in their order. */
export function namesIn(text: string): string[] {
  return Array.from(text.matchAll(PLACEHOLDER), ([, name = '']) => name)
}

/** The argument whose placeholder is all of the text; undefined when it is another text. */
export function soleName(text: string): string | undefined {
  return ALONE.exec(text)?.[1]
}

/** The argument's value; undefined when it was left out. What every object inherits is no argument. */
export function argumentOf(args: Arguments, name: string): unknown {
  return Object.hasOwn(args, name) ? args[name] : undefined
}

/** The text with its arguments in it, each encoded; undefined when one of them was left out or is null. */
export function fill(text: string, args: Arguments, encode: (value: string, name: string) => string) {
  const values = new Map(namesIn(text).map((name) => [name, textOf(argumentOf(args, name), name)]))
  if ([...values.values()].includes(undefined)) return undefined
  return text.replace(PLACEHOLDER, (_placeholder, name: string) => encode(values.get(name) ?? '', name))
}

/** A value where only text can stand: what is no string, number or boolean as JSON. */
function textOf(value: unknown, name: string): string | undefined {
  if (value === undefined || value === null) return undefined
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  if (!text.isWellFormed()) throw new CorrectableError(`The argument "${name}" is not valid Unicode text.`)
  return text
}
