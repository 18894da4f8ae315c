import type { ActionSpec } from '../action-spec.ts'
import type { Weakening } from '../diff.ts'
import { isObject, isSame, type JsonObject, own, without } from './json.ts'

const UPPER = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties']
const LOWER = ['minimum', 'exclusiveMinimum']
/** Whether another one allows more is not to be seen. */
const EXACT = ['const', 'pattern']

/** Arguments of an action that changes something may hold more than before: an amount has no bound any more, a list of choices grew. */
export function looserArguments(path: string, before: ActionSpec, after: ActionSpec): Weakening[] {
  if (before.access === 'read' && after.access === 'read') return []
  return looserAt(`${path}.parameters`, before.parameters, after.parameters)
}

function looserAt(path: string, before: JsonObject, after: JsonObject): Weakening[] {
  const found = Object.keys(before)
    .filter((keyword) => isLooser(keyword, before[keyword], own(after, keyword)))
    .map((keyword) => {
      const place = `${path}.${keyword}`
      return { kind: 'limit' as const, path: place, message: `${place} lets through more than before.` }
    })
  const deeper = Object.keys(before).flatMap((key) => {
    const [old, young] = [before[key], own(after, key)]
    return isObject(old) && isObject(young) ? looserAt(`${path}.${key}`, old, young) : []
  })
  return [...found, ...deeper]
}

/** A keyword with a value of another kind is the name of an argument. */
function isLooser(keyword: string, before: unknown, after: unknown): boolean {
  if (typeof before === 'number' && UPPER.includes(keyword)) return typeof after !== 'number' || after > before
  if (typeof before === 'number' && LOWER.includes(keyword)) return typeof after !== 'number' || after < before
  if (keyword === 'enum' && Array.isArray(before)) return !Array.isArray(after) || without(after, before).length > 0
  if (keyword === 'additionalProperties' && before === false) return after !== false
  return EXACT.includes(keyword) && !isObject(before) && !isSame(before, after)
}
