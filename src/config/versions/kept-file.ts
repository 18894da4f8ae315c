import type { ConfigVersion } from '../document.ts'
import { hashOf } from '../load.ts'
import type { VersionRecord } from '../register.ts'
import { parseRecord } from './records.ts'

/** The first line of a kept version's file: all that is known of it without reading on. */
export interface KeptHead {
  record: VersionRecord
  /** The name of its blob. */
  file: string
  /** Of its bytes as they were pushed. */
  size: number
  description: string
  /** Of the second line: its bytes, and its SHA-256, hexadecimal. */
  documentSize: number
  documentHash: string
  /** What it was found sound by. */
  checkedBy: string
}

/** What was pushed, and what is known of it. */
export interface KeptSource {
  record: VersionRecord
  file: string
  bytes: Buffer
}

const newline = 10

/** A version as it is kept: a line of JSON, then its document as a line of JSON, then the bytes as they were pushed. */
export function writeKept(
  head: Pick<KeptHead, 'record' | 'file' | 'checkedBy'>,
  { document }: ConfigVersion,
  bytes: Buffer,
): Buffer {
  const line = Buffer.from(JSON.stringify(document))
  const { description } = document
  const { record, file, checkedBy } = head
  const own = { documentSize: line.length, documentHash: hashOf(line) }
  const whole: KeptHead = { record, file, checkedBy, size: bytes.length, description, ...own }
  return Buffer.concat([Buffer.from(`${JSON.stringify(whole)}\n`), line, Buffer.of(newline), bytes])
}

/** Of a file of so many bytes, or its beginning; undefined where it has none, or is not whole. */
export function readHead(content: Buffer, fileSize: number): KeptHead | undefined {
  const end = content.indexOf(newline)
  if (end === -1) return undefined
  try {
    const { record: given, ...rest }: Partial<KeptHead> = JSON.parse(content.toString('utf8', 0, end))
    const record = parseRecord(given)
    const { file, size = 0, description, documentSize = 0, documentHash, checkedBy } = rest
    const areTexts = [file, description, documentHash, checkedBy].every((text) => typeof text === 'string')
    const isWhole = end + 1 + documentSize + 1 + size === fileSize
    return record && areTexts && isWhole ? ({ ...rest, record } as KeptHead) : undefined
  } catch {
    return undefined
  }
}

/** As it was found sound. */
export function readDocument(content: Buffer): { head: KeptHead; document: Buffer } | undefined {
  const head = readHead(content, content.length)
  if (!head) return undefined
  const documentAt = content.indexOf(newline) + 1
  return { head, document: content.subarray(documentAt, documentAt + head.documentSize) }
}

/** Also of a file that was kept before documents were, whose first line is followed by the bytes: an upgrade keeps what it had. */
export function readSource(content: Buffer): KeptSource | undefined {
  const end = content.indexOf(newline)
  if (end === -1) return undefined
  try {
    const { record: given, file, documentSize }: Partial<KeptHead> = JSON.parse(content.toString('utf8', 0, end))
    const record = parseRecord(given)
    if (!record || typeof file !== 'string') return undefined
    const bytesAt = end + 1 + (documentSize === undefined ? 0 : documentSize + 1)
    return { record, file, bytes: content.subarray(bytesAt) }
  } catch {
    return undefined
  }
}
