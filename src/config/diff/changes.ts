import type { Change, Section } from '../diff.ts'
import { isObject, isSame, type JsonObject, own, without } from './json.ts'
import type { CompareWords } from './words.ts'

/** What is nested deeper, or lies below longer names, is one change as a whole. */
const MAX_DEPTH = 12
const MAX_PATH_LENGTH = 512
/** A field with more changes than anybody reads is one change as a whole. */
const MAX_CHANGES_OF_FIELD = 200

/** Lists whose order has no meaning, by section; of JSON Schemas, those that a keyword holds. */
const SETS: Partial<Record<Section, RegExp>> = {
  specialists: /^(actions|capabilities\.primary)$/,
  actions: /^(roles|approval\.(roles|unlessRoles|editable|when\..+)|parameters\.(.+\.)?(required|enum|type))$/,
}
const TEXTS = /(^|\.)(instructions|description)$/

/** What has changed of one entry, or of a section without names; nothing, where both say the same. */
export function changesOfEntry(
  section: Section,
  name: string,
  before: unknown,
  after: unknown,
  compareWords: CompareWords,
): Change[] {
  if (before === undefined || after === undefined || !isObject(before) || !isObject(after)) {
    return changesAt([], before, after)
  }
  return keysOf(before, after).flatMap((key) => {
    const changes = changesAt([key], own(before, key), own(after, key))
    return changes.length > MAX_CHANGES_OF_FIELD ? [changed([key], own(before, key), own(after, key))] : changes
  })

  function changesAt(path: readonly string[], old: unknown, young: unknown): Change[] {
    if (isSame(old, young)) return []
    const place = path.join('.')
    if (isObject(old) && isObject(young) && path.length < MAX_DEPTH && place.length < MAX_PATH_LENGTH) {
      return keysOf(old, young).flatMap((key) => changesAt([...path, key], own(old, key), own(young, key)))
    }
    if (Array.isArray(old) && Array.isArray(young) && SETS[section]?.test(place)) return changesOfSet(path, old, young)
    if (typeof old === 'string' && typeof young === 'string' && (section === 'description' || TEXTS.test(place))) {
      const words = compareWords(old, young)
      if (words) return [{ kind: 'changed', section, name, path: place, words }]
    }
    return [changed(path, old, young)]
  }

  function changesOfSet(path: readonly string[], old: readonly unknown[], young: readonly unknown[]): Change[] {
    const at = (item: unknown) => [...path, typeof item === 'string' ? item : JSON.stringify(item)]
    return [
      ...without(old, young).map((item) => changed(at(item), item, undefined)),
      ...without(young, old).map((item) => changed(at(item), undefined, item)),
    ]
  }

  function changed(path: readonly string[], old: unknown, young: unknown): Change {
    const kind = old === undefined ? 'added' : young === undefined ? 'removed' : 'changed'
    const [before, after] = [old === undefined ? {} : { before: old }, young === undefined ? {} : { after: young }]
    return { kind, section, name, path: path.join('.'), ...before, ...after }
  }
}

/** Of both, by name: so that a diff reads the same from either side. */
export function keysOf(a: JsonObject, b: JsonObject): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].toSorted()
}
