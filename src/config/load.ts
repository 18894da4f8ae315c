import { createHash } from 'node:crypto'
import type { ConfigDocument, ConfigVersion } from './document.ts'
import type { Fault, LocatedFault } from './fault.ts'
import { checkReferences } from './references.ts'
import { checkShape } from './shape.ts'
import { readSource } from './source.ts'
import type { ConfigFormat } from './version-names.ts'

const MAX_FAULTS = 100
const SECTIONS = ['models', 'routes', 'specialists', 'actions'] as const
const OPTIONAL_SECTIONS = ['mcpServers', 'openapi'] as const

/**
 * A module's check of its part of a document, which has the right shape and no names that lead nowhere: entries with such
 * faults are left out.
 */
export type Check = (document: ConfigDocument) => readonly Fault[]

export type Loaded = { version: ConfigVersion } | { faults: LocatedFault[] }

/** Reads and validates the bytes of a version, wherever that is done. */
export type Load = (name: string, bytes: Uint8Array, format: ConfigFormat) => Promise<Loaded>

export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Reads and validates the bytes of a version; either it is sound, or every fault is named at once, in order. */
export function loadVersion(name: string, bytes: Uint8Array, format: ConfigFormat, checks: readonly Check[]): Loaded {
  const source = readSource(bytes, format)
  if (source.value === undefined) return { faults: inOrder(source.faults) }

  const shapeFaults = checkShape(source.value)
  const document = soundPart(source.value, shapeFaults)
  const faults = [...shapeFaults, ...checkReferences(source.value), ...checks.flatMap((check) => check(document))]
  if (source.faults.length + faults.length > 0) {
    const located = faults.map(source.locate).filter(({ path }) => !source.lost.has(path))
    return { faults: inOrder([...source.faults, ...located]) }
  }
  return { version: { name, hash: hashOf(bytes), document: sealDocument(document) } }
}

/** The document without the entries that have faults, nor those that refer to them. */
function soundPart(value: unknown, faults: readonly Fault[]): ConfigDocument {
  const part = without(value, faults)
  const dangling = checkReferences(part)
  return dangling.length === 0 ? part : soundPart(part, dangling)
}

function without(value: unknown, faults: readonly Fault[]): ConfigDocument {
  const faulty = new Set(faults.map(({ path }) => path.slice(0, 2).join('.')))
  const document: Record<string, unknown> = { description: '', ...(isObject(value) ? value : {}) }
  for (const section of [...SECTIONS, ...OPTIONAL_SECTIONS.filter((name) => document[name] !== undefined)]) {
    const entries = isObject(document[section]) ? Object.entries(document[section]) : []
    const sound = entries.filter(([name]) => !faulty.has(`${section}.${name}`))
    document[section] = withoutPrototype(sound)
  }
  if (faults.some(({ path }) => path[0] === 'rollout')) delete document.rollout
  return document as ConfigDocument
}

/** A sound document as it is served: it cannot be changed, and its sections know only their own names. */
export function sealDocument(document: ConfigDocument): ConfigDocument {
  const sections = SECTIONS.map((section) => [section, withoutPrototype(Object.entries(document[section] ?? {}))])
  return freeze({ ...document, ...Object.fromEntries(sections) })
}

/** So that a lookup by a caller's name (`constructor`) finds what the document names and nothing else. */
function withoutPrototype(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return Object.assign(Object.create(null), Object.fromEntries(entries))
}

function inOrder(faults: readonly LocatedFault[]): LocatedFault[] {
  const sorted = faults.toSorted((a, b) => a.line - b.line || a.column - b.column)
  const more = sorted.length - MAX_FAULTS
  if (more <= 0) return sorted
  const rest = { path: '', line: 1, column: 1, message: `has ${more} more faults` }
  return [...sorted.slice(0, MAX_FAULTS), rest]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  for (const child of Object.values(value)) freeze(child)
  return Object.freeze(value)
}
