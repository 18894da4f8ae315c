import { type Alias, type Document, isAlias, isMap, isScalar, isSeq, type Node } from 'yaml'
import type { Fault } from './fault.ts'

const MAX_DEPTH = 64
/** Lists, objects and what is in them, each time that an alias stands for it. */
const MAX_VALUES = 200_000
/** How many characters aliases may add. */
const MAX_ALIASED_CHARACTERS = 4 * 1024 * 1024

export interface Plain {
  /** Undefined when it is beyond bounds. */
  value: unknown
  /** With the offset in the text, since a path alone may be ambiguous here (the same key twice). */
  faults: { fault: Fault; offset: number }[]
  /** Paths, joined by dots, whose values are not what was meant: more said about them would be an echo. */
  lost: ReadonlySet<string>
  /** What each alias stands for. */
  targets: ReadonlyMap<Alias, Node>
}

/**
 * The plain JSON value of a parsed YAML document. Aliases are copied out, within bounds, so that whoever walks the value
 * later meets a tree; what JSON cannot say is a fault.
 */
export function toPlain(document: Document, size: number): Plain {
  const faults: Plain['faults'] = []
  const lost = new Set<string>()
  const targets = new Map<Alias, Node>()
  const anchors = new Map<string, Node>()
  const open = new Set<Node>()
  let valuesLeft = MAX_VALUES
  let charactersLeft = size + MAX_ALIASED_CHARACTERS
  const isTooLarge = () => valuesLeft < 0 || charactersLeft < 0

  function convert(node: unknown, path: Fault['path']): unknown {
    valuesLeft -= 1
    if (isTooLarge()) return null
    if (isAlias(node)) return aliased(node, path)
    if (isScalar(node)) {
      if (typeof node.value === 'string') charactersLeft -= node.value.length
      if (node.anchor) anchors.set(node.anchor, node)
      if (hasControl(node.value)) note(node, path, 'contains a control character')
      if (typeof node.value === 'number' && !Number.isFinite(node.value)) refuse(node, path, 'must be a finite number')
      return node.value
    }
    if (!isMap(node) && !isSeq(node)) return null
    if (path.length > MAX_DEPTH) return refuse(node, path.slice(0, 3), `is nested deeper than ${MAX_DEPTH} levels`)
    if (node.anchor) anchors.set(node.anchor, node)
    open.add(node)
    const value = isMap(node)
      ? mapOf(node.items, path)
      : node.items.map((item, index) => convert(item, [...path, index]))
    open.delete(node)
    return value
  }

  function mapOf(pairs: readonly { key: unknown; value: unknown }[], path: Fault['path']): Record<string, unknown> {
    const seen = new Set<string>()
    const value: Record<string, unknown> = {}
    for (const pair of pairs) {
      const name = isScalar(pair.key) ? String(pair.key.value) : ''
      const at = [...path, name]
      if (hasControl(name)) note(pair.key, at, 'contains a control character')
      if (name === '__proto__') refuse(pair.key, at, 'is not a name that can be used here')
      else if (seen.has(name)) note(pair.key, at, 'is there twice')
      else value[name] = convert(pair.value, at)
      seen.add(name)
    }
    return value
  }

  function aliased(alias: Alias, path: Fault['path']): unknown {
    const target = anchors.get(alias.source)
    if (!target) return refuse(alias, path, `there is no anchor &${alias.source} before this alias`)
    if (open.has(target)) return refuse(alias, path, `the alias *${alias.source} stands inside its own anchor`)
    targets.set(alias, target)
    return convert(target, path)
  }

  function refuse(node: unknown, path: Fault['path'], message: string): null {
    note(node, path, message)
    lost.add(path.join('.'))
    return null
  }

  function note(node: unknown, path: Fault['path'], message: string): void {
    faults.push({ fault: { path, message }, offset: offsetOf(node) })
  }

  const value = convert(document.contents, [])
  if (!isTooLarge()) return { value, faults, lost, targets }
  const message =
    valuesLeft < 0 ? `holds more than ${MAX_VALUES} values, aliases copied out` : 'grows too large by its aliases'
  const fault = { path: [], message }
  return { value: undefined, faults: [{ fault, offset: 0 }], lost, targets }
}

/** Written as an escape: a terminal that lists versions would do what it says. */
function hasControl(value: unknown): boolean {
  return typeof value === 'string' && /[^\P{Cc}\t\n\r]/u.test(value)
}

export function offsetOf(node: unknown): number {
  const range = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range : undefined
  return range?.[0] ?? 0
}
