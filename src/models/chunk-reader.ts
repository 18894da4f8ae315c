import type { ToolCall } from './answer.ts'
import {
  type ChunkEvent,
  errorOf,
  type Fields,
  firstChoice,
  frameData,
  hasChoices,
  isFields,
  isHiddenProgress,
  isOnlyContent,
  parseEvent,
  shownText,
  type Usage,
  usageOf,
  type Wire,
  wireOf,
} from './chunk-event.ts'
import { FrameTemplate } from './frame-template.ts'
import { GrowingBytes } from './growing-bytes.ts'
import { KeptFrames } from './kept-frames.ts'
import { ToolCallAssembly } from './tool-call-assembly.ts'

export type { Usage, Wire } from './chunk-event.ts'

/** What one read of the provider's bytes brought. */
export interface Piece {
  /** mode text: the new content, all of the read joined. mode relay: empty, decoding waits until `text()` asks. */
  text: string
  /** mode relay: the provider's own bytes, whole frames; without its usage frame, `[DONE]`, comments and errors. */
  frames: Buffer | undefined
  /** The read carried content, a refusal, reasoning or a tool call; empty strings do not count. */
  visible: boolean
}

export interface ReaderFault {
  /** `garbage`: not OpenAI's format, or beyond its bounds. `server_error`: the provider said so in the stream. */
  reason: 'garbage' | 'server_error'
  message: string
}

const MAX_FRAME_BYTES = 1024 * 1024
const MAX_ANSWER_BYTES = 16 * 1024 * 1024
/** So many templates in a row that fitted no other frame, and no more are learned: this provider's frames all differ. */
const MAX_USELESS_TEMPLATES = 4
const LF = 10
const CR = 13
const BLANK_LINE = Buffer.from('\n\n')
const BLANK_LINE_CRLF = Buffer.from('\n\r\n')

/**
 * Reads chat completion chunks in OpenAI's SSE format from bytes cut anywhere. Give it each read, look at the piece it
 * returns and at `fault`; after `end()`, an undefined `finishReason` means that the answer is not complete.
 *
 * Events that are as the one before but for their text are not parsed (see `FrameTemplate`); all others are.
 */
export class ChunkReader {
  finishReason: string | undefined
  usage: Usage | undefined
  wire: Wire | undefined
  /** Set once; nothing is read after it. */
  fault: ReaderFault | undefined
  /** `[DONE]` has been seen; nothing is read after it. */
  done = false

  readonly #relay: boolean
  readonly #calls = new ToolCallAssembly()
  /** The content as JSON escapes it: all of it in mode relay, that of the present read in mode text. */
  readonly #content = new GrowingBytes()
  #text = ''
  #answerBytes = 0
  #visible = false
  /** The beginning of a frame whose end has not come. */
  readonly #pending = new GrowingBytes()
  #atStart = true
  #halfFunctionCall = false
  #template: FrameTemplate | undefined
  #uselessTemplates = 0

  constructor(mode: 'text' | 'relay') {
    this.#relay = mode === 'relay'
  }

  push(chunk: Buffer): Piece {
    if (this.#pending.length === 0) return this.#read(chunk)
    // Looking only at what is new keeps the work linear when a long frame comes in small pieces.
    const from = Math.max(0, this.#pending.length - 2)
    this.#pending.append(chunk, 0, chunk.length)
    if (from === 0 || hasBlankLine(this.#pending.view(), from)) return this.#read(this.#pending.take())
    this.#checkPending()
    return { text: '', frames: undefined, visible: false }
  }

  /** The stream has ended. What is left is read if it is a whole event that only lacks its blank line. */
  end(): Piece {
    const taken = this.#pending.take()
    const rest = this.#atStart && hasMark(taken) ? taken.subarray(3) : taken
    const data = frameData(rest.toString())?.trim() ?? ''
    const isWhole = data === '[DONE]' || parseEvent(data) !== undefined
    return this.#read(isWhole ? Buffer.concat([rest, BLANK_LINE]) : Buffer.alloc(0))
  }

  /** The whole text shown so far; in mode relay it is decoded at each call. */
  text(): string {
    return this.#relay ? decoded(this.#content) : this.#text
  }

  /** The tool calls so far; complete once there is a finish reason. */
  toolCalls(): ToolCall[] {
    return this.#calls.calls()
  }

  /** A tool call has begun and the answer has not finished. */
  get halfToolCall(): boolean {
    return (this.#calls.size > 0 || this.#halfFunctionCall) && this.finishReason === undefined
  }

  #read(bytes: Buffer): Piece {
    const kept = new KeptFrames(bytes)
    let position = this.#atStart && hasMark(bytes) ? 3 : 0
    this.#visible = false
    while (position < bytes.length && !this.done && !this.fault) {
      const matched = this.#matched(bytes, position)
      const end = matched < 0 ? frameEnd(bytes, position) : matched
      if (end < 0) {
        this.#pending.append(bytes, this.#atStart ? 0 : position, bytes.length)
        this.#checkPending()
        break
      }
      this.#atStart = false
      if (matched >= 0 || this.#frame(bytes.subarray(position, end))) kept.add(position, end)
      position = end
    }
    return {
      text: this.#relay ? '' : this.#takeText(),
      frames: this.#relay ? kept.bytes() : undefined,
      visible: this.#visible,
    }
  }

  #takeText(): string {
    if (this.#content.length === 0) return ''
    const text = decoded(this.#content)
    this.#content.clear()
    this.#text += text
    return text
  }

  /** Takes the frame at `position` if it is like the last one that was parsed; returns its end, or -1. */
  #matched(bytes: Buffer, position: number): number {
    const template = this.#template
    const end = template?.match(bytes, position) ?? -1
    if (!template || end < 0 || end - position > MAX_FRAME_BYTES) return -1
    this.#uselessTemplates = 0
    const { contentStart, contentEnd } = template
    if (contentEnd === contentStart) return end
    this.#content.append(bytes, contentStart, contentEnd)
    this.#visible = true
    this.#grew(contentEnd - contentStart)
    return end
  }

  /** Parses a frame; returns whether a relay passes it on. */
  #frame(frame: Buffer): boolean {
    if (frame.length > MAX_FRAME_BYTES) return this.#fail('garbage', 'A frame is too large.')
    const data = frameData(frame.toString())?.trim()
    if (!data) return false
    if (data === '[DONE]') {
      this.done = true
      return false
    }
    const event = parseEvent(data)
    if (!event) return this.#fail('garbage', 'A frame is not a JSON object.')
    const error = errorOf(event)
    if (error !== undefined) return this.#fail('server_error', error)
    this.#event(event)
    this.#learn(frame, event)
    return !isFields(event.usage) || hasChoices(event)
  }

  #learn(frame: Buffer, event: ChunkEvent): void {
    if (this.#uselessTemplates > MAX_USELESS_TEMPLATES || !isOnlyContent(event)) return
    this.#uselessTemplates++
    const goesOn = this.#uselessTemplates <= MAX_USELESS_TEMPLATES
    this.#template = goesOn ? FrameTemplate.learn(frame) : undefined
  }

  #event(event: ChunkEvent): void {
    if (!this.wire && typeof event.id === 'string' && event.id !== '') this.wire = wireOf(event)
    if (isFields(event.usage)) this.usage = usageOf(event.usage)
    const choice = firstChoice(event)
    if (!choice) return
    if (isFields(choice.delta)) this.#delta(choice.delta)
    if (typeof choice.finish_reason === 'string') this.finishReason = choice.finish_reason
  }

  #delta(delta: Fields): void {
    const shown = shownText(delta)
    if (shown) {
      const escaped = Buffer.from(JSON.stringify(shown))
      this.#content.append(escaped, 1, escaped.length - 1)
      this.#grew(escaped.length - 2)
    }
    const calls = Array.isArray(delta.tool_calls) ? delta.tool_calls.filter(isFields) : []
    for (const call of calls) this.#grew(this.#calls.add(call))
    if (isFields(delta.function_call)) this.#halfFunctionCall = true
    if (shown || calls.length > 0 || isHiddenProgress(delta)) this.#visible = true
  }

  #grew(bytes: number): void {
    this.#answerBytes += bytes
    if (this.#answerBytes > MAX_ANSWER_BYTES) this.#fail('garbage', 'The answer is too long.')
  }

  #checkPending(): void {
    if (this.#pending.length > MAX_FRAME_BYTES) this.#fail('garbage', 'A frame is too large.')
  }

  #fail(reason: ReaderFault['reason'], message: string): false {
    this.fault = { reason, message }
    this.#pending.clear()
    return false
  }
}

function decoded(content: GrowingBytes): string {
  const text = content.text()
  return text.includes('\\') ? JSON.parse(`"${text}"`) : text
}

/** A byte order mark may stand before the first event. */
function hasMark(bytes: Buffer): boolean {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
}

function hasBlankLine(bytes: Buffer, from: number): boolean {
  return bytes.indexOf(BLANK_LINE, from) >= 0 || bytes.indexOf(BLANK_LINE_CRLF, from) >= 0
}

/** Where the frame that begins at `start` ends, its blank line included; -1 when it is not whole yet. */
function frameEnd(bytes: Buffer, start: number): number {
  for (let line = start; ; ) {
    const lf = bytes.indexOf(LF, line)
    if (lf < 0) return -1
    if (lf === line || (lf === line + 1 && bytes[line] === CR)) return lf + 1
    line = lf + 1
  }
}
