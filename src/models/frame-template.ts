import { randomUUID } from 'node:crypto'
import { firstChoice, frameData, isFields, parseEvent } from './chunk-event.ts'

const QUOTE = 0x22
const BACKSLASH = 0x5c
const LOWER_U = 0x75
const CONTENT_KEY = /"content"\s*:\s*"/g
const CONTENT_NAME = '"content"'
const OBFUSCATION_KEY = /"obfuscation"\s*:\s*"/
/** Frames beyond this are parsed: looking for their content would cost more than it saves. */
const MAX_FRAME_BYTES = 8 * 1024
/** Drawn anew by each process, for an event must not show it whatever the hole holds. */
const PROBE = `parley ${randomUUID()}`

/**
 * The frame around the content of an event. Nearly all events of an answer are the same but for the text in
 * `choices[0].delta.content` (and, from OpenAI, the padding in `obfuscation`); what lies around those two holes is compared
 * byte by byte, and the text is cut out without parsing.
 *
 * Why that is exact: each hole is the body of one JSON string; the first is that of the only `content`, or with a probe in it the
 * frame gives an event whose content is the probe; and nothing reads the padding. JSON being context-free, any other valid string
 * bodies in the holes give the same event with another text.
 */
export class FrameTemplate {
  /** Where the content of the frame that matched last lies, JSON-escaped. */
  contentStart = 0
  contentEnd = 0
  readonly #head: Buffer
  /** From the content to the padding, or to the frame's end if there is none. */
  readonly #middle: Buffer
  readonly #tail: Buffer | undefined

  private constructor(head: Buffer, middle: Buffer, tail: Buffer | undefined) {
    this.#head = head
    this.#middle = middle
    this.#tail = tail
  }

  /** The template of a whole frame, whose event `isOnlyContent`; undefined when the content cannot be told apart. */
  static learn(frame: Buffer): FrameTemplate | undefined {
    if (frame.length > MAX_FRAME_BYTES) return undefined
    const text = frame.toString('latin1')
    for (const key of text.matchAll(CONTENT_KEY)) {
      const start = key.index + key[0].length
      const end = stringEnd(frame, start)
      if (end < 0) continue
      const padding = OBFUSCATION_KEY.exec(text.slice(end))
      const paddingStart = padding ? end + padding.index + padding[0].length : -1
      const paddingEnd = padding ? stringEnd(frame, paddingStart) : -1
      const cuts = paddingEnd < 0 ? [start, end] : [start, end, paddingStart, paddingEnd]
      if (!isPlain(text, start, end) && !holds(text, cuts)) continue
      // A copy, so that the read that the frame came in can be let go.
      const copy = Buffer.from(frame)
      if (paddingEnd < 0) return new FrameTemplate(copy.subarray(0, start), copy.subarray(end), undefined)
      return new FrameTemplate(copy.subarray(0, start), copy.subarray(end, paddingStart), copy.subarray(paddingEnd))
    }
    return undefined
  }

  /** The end of the frame that begins at `start`, if it is whole and of this template; else -1. */
  match(bytes: Buffer, start: number): number {
    const contentStart = start + this.#head.length
    if (!sameAt(bytes, start, this.#head)) return -1
    const contentEnd = stringEnd(bytes, contentStart)
    // A text that begins within a UTF-8 sequence is broken, and must not be mended by what came before it.
    if (contentEnd < 0 || isContinuation(bytes[contentStart])) return -1
    if (!sameAt(bytes, contentEnd, this.#middle)) return -1
    this.contentStart = contentStart
    this.contentEnd = contentEnd
    const middleEnd = contentEnd + this.#middle.length
    if (!this.#tail) return middleEnd
    const paddingEnd = stringEnd(bytes, middleEnd)
    if (paddingEnd < 0 || !sameAt(bytes, paddingEnd, this.#tail)) return -1
    return paddingEnd + this.#tail.length
  }
}

/** Where the JSON string whose body begins at `from` has its closing quote; -1 if it has none or is not valid. */
function stringEnd(bytes: Buffer, from: number): number {
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (byte === QUOTE) return at
    if (byte < 0x20) return -1
    if (byte !== BACKSLASH) continue
    at++
    const escaped = bytes[at]
    if (escaped === LOWER_U) {
      for (let digit = 0; digit < 4; digit++) if (!isHex(bytes[++at])) return -1
    } else if (!isEscapable(escaped)) {
      return -1
    }
  }
  return -1
}

function sameAt(bytes: Buffer, at: number, part: Buffer): boolean {
  const end = at + part.length
  if (end > bytes.length) return false
  return part.compare(bytes, at, end) === 0
}

/**
 * Whether the frame can have its content from nowhere else: it is one line, without escapes around the hole, and names no second
 * `content`. Nearly all are so, and parsing each once more with a probe was 2 % of a short request.
 */
function isPlain(text: string, start: number, end: number): boolean {
  if (!text.startsWith('data: ') || text.indexOf('\n') !== text.length - 2) return false
  if (text.lastIndexOf('\\', start) >= 0 || text.includes('\\', end)) return false
  return text.indexOf(CONTENT_NAME) === text.lastIndexOf(CONTENT_NAME)
}

/** Whether the first of the holes, given by their ends, is what the event shows. */
function holds(text: string, cuts: readonly number[]): boolean {
  const [start = 0, end = 0, paddingStart = text.length, paddingEnd = text.length] = cuts
  const probed = text.slice(0, start) + PROBE + text.slice(end, paddingStart) + text.slice(paddingEnd)
  const delta = firstChoice(parseEvent(frameData(probed) ?? '') ?? {})?.delta
  return isFields(delta) && delta.content === PROBE
}

function isContinuation(byte = 0): boolean {
  return (byte & 0xc0) === 0x80
}

function isEscapable(byte = 0): boolean {
  return '"\\/bfnrt'.includes(String.fromCharCode(byte))
}

function isHex(byte = 0): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)
}
