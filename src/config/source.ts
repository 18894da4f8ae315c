import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLError,
} from 'yaml'
import type { Fault, LocatedFault } from './fault.ts'
import { offsetOf, toPlain } from './plain.ts'

export const MAX_CONFIG_BYTES = 1024 * 1024

const MESSAGES: Partial<Record<YAMLError['code'], string>> = {
  MULTIPLE_DOCS: 'holds more than one document',
  RESOURCE_EXHAUSTION: 'is nested too deeply',
}

export interface Source {
  /** Undefined when the bytes could not be read as a document at all. */
  value: unknown
  faults: LocatedFault[]
  /** Paths, joined by dots, about which all is said by these faults. */
  lost: ReadonlySet<string>
  locate(fault: Fault): LocatedFault
}

/** Reads a config document from YAML or JSON, keeping where everything stands. */
export function readSource(bytes: Uint8Array, format: 'yaml' | 'json'): Source {
  if (bytes.byteLength > MAX_CONFIG_BYTES) return unreadable([whole(`is larger than ${MAX_CONFIG_BYTES} bytes`)])
  const text = decode(bytes)
  if (text === undefined) return unreadable([whole('is not UTF-8 text')])

  const lines = new LineCounter()
  const place = ({ path, message }: Fault, offset: number): LocatedFault => {
    const { line, col } = lines.linePos(offset)
    return { path: path.join('.'), line: Math.max(line, 1), column: Math.max(col, 1), message }
  }
  const document = parseDocument(text, {
    lineCounter: lines,
    // A file cannot choose another dialect, nor tags that make other things than JSON has.
    schema: 'core',
    resolveKnownTags: false,
    stringKeys: true,
    // Done by `toPlain`, in linear time.
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'error',
  })
  const faults = syntaxErrors(document).map(({ code, message, pos }) =>
    place({ path: [], message: MESSAGES[code] ?? `is not valid YAML: ${message}` }, pos[0]),
  )
  const control = text.search(/[^\P{Cc}\t\n\r]/u)
  if (control !== -1) faults.push(place({ path: [], message: 'contains a control character' }, control))
  if (format === 'json' && faults.length === 0 && !isJson(text)) {
    faults.push(whole('is not JSON, though its name says so'))
  }
  if (document.contents === null && faults.length === 0) faults.push(whole('is empty'))
  if (faults.length > 0) return unreadable(faults)

  const plain = toPlain(document, text.length)
  return {
    value: plain.value,
    faults: plain.faults.map(({ fault, offset }) => place(fault, offset)),
    lost: plain.lost,
    locate: (fault) => place(fault, findOffset(document.contents, fault.path, plain.targets)),
  }
}

/** Of the property that the path names, else of the nearest parent that is there. */
function findOffset(root: unknown, path: Fault['path'], targets: ReadonlyMap<unknown, Node>): number {
  let offset = offsetOf(root)
  let node: unknown = root
  for (const segment of path) {
    if (isAlias(node)) node = targets.get(node)
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(segment))
      if (!pair) break
      offset = offsetOf(pair.key)
      node = pair.value
    } else if (isSeq(node)) {
      const item = node.items[Number(segment)]
      if (item === undefined) break
      offset = offsetOf(item)
      node = item
    } else break
  }
  return offset
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Errors behind one that exhausted the parser are its echoes. */
function syntaxErrors({ errors, warnings }: Pick<Document, 'errors' | 'warnings'>): YAMLError[] {
  const exhausted = errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION')
  return exhausted ? [exhausted] : [...errors, ...warnings]
}

function unreadable(faults: LocatedFault[]): Source {
  const locate = ({ path, message }: Fault) => ({ ...whole(message), path: path.join('.') })
  return { value: undefined, faults, lost: new Set(), locate }
}

function whole(message: string): LocatedFault {
  return { path: '', line: 1, column: 1, message }
}
