import type { ToolCall } from './answer.ts'
import {
  type ChunkEvent,
  errorOf,
  type Fields,
  firstChoice,
  frameData,
  isFields,
  isHiddenProgress,
  shownText,
} from './chunk-event.ts'
import { ToolCallAssembly } from './tool-call-assembly.ts'

/** What one read of the provider's bytes brought. */
export interface Piece {
  /** mode text: the new content, all of the read joined. mode relay: empty, decoding waits until `text()` asks. */
  text: string
  /** mode relay: the provider's own bytes, whole frames; without its usage frame, `[DONE]`, comments and errors. */
  frames: Buffer | undefined
  /** The read carried content, a refusal, reasoning or a tool call; empty strings do not count. */
  visible: boolean
}

/** How the provider signs its chunks. */
export interface Wire {
  id: string
  created: number
  model: string
}

/** Tokens as the provider counts them; `cached` is the part of `prompt` that it read from its cache. */
export interface Usage {
  prompt: number
  cached: number
  completion: number
}

export interface ReaderFault {
  /** `garbage`: not OpenAI's format, or beyond its bounds. `server_error`: the provider said so in the stream. */
  reason: 'garbage' | 'server_error'
  message: string
}

const MAX_FRAME_BYTES = 1024 * 1024
const MAX_ANSWER_BYTES = 16 * 1024 * 1024
const LF = 10
const CR = 13
const NOTHING: Piece = { text: '', frames: undefined, visible: false }

/**
 * Reads chat completion chunks in OpenAI's SSE format from bytes cut anywhere. Give it each read, look at the piece it
 * returns and at `fault`; after `end()`, an undefined `finishReason` means that the answer is not complete.
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
  #text = ''
  #answerBytes = 0
  #pending: Buffer = Buffer.alloc(0)
  #atStart = true
  #halfFunctionCall = false

  constructor(mode: 'text' | 'relay') {
    this.#relay = mode === 'relay'
  }

  push(chunk: Buffer): Piece {
    return this.#read(this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk)
  }

  /** The stream has ended: what is left is read if it is a whole frame that only lacks its blank line. */
  end(): Piece {
    return NOTHING
  }

  /** The whole text shown so far, decoded when asked for. */
  text(): string {
    return this.#text
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
    const piece: Piece = { text: '', frames: undefined, visible: false }
    const kept: Buffer[] = []
    let position = 0
    if (this.#atStart && bytes.length >= 3) {
      if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) position = 3
      this.#atStart = false
    }
    while (!this.done && !this.fault) {
      const end = frameEnd(bytes, position)
      if (end < 0) break
      if (this.#frame(bytes.toString('utf8', position, end), piece)) kept.push(bytes.subarray(position, end))
      position = end
    }
    this.#pending = bytes.subarray(position)
    if (this.#pending.length > MAX_FRAME_BYTES) this.#fail('garbage', 'A frame is too large.')
    if (this.#relay && kept.length > 0) piece.frames = kept.length === 1 ? kept[0] : Buffer.concat(kept)
    return piece
  }

  /** Returns whether a relay passes the frame on. */
  #frame(frame: string, piece: Piece): boolean {
    const data = frameData(frame)?.trim()
    if (!data) return false
    if (data === '[DONE]') {
      this.done = true
      return false
    }
    const event = parsed(data)
    if (!event) return this.#fail('garbage', 'A frame is not a JSON object.')
    const error = errorOf(event)
    if (error !== undefined) return this.#fail('server_error', error)
    this.#event(event, piece)
    return !(isFields(event.usage) && !hasChoices(event))
  }

  #event(event: ChunkEvent, piece: Piece): void {
    if (!this.wire && typeof event.id === 'string' && event.id !== '') this.wire = wireOf(event)
    if (isFields(event.usage)) this.usage = usageOf(event.usage)
    const choice = firstChoice(event)
    if (!choice) return
    if (isFields(choice.delta)) this.#delta(choice.delta, piece)
    if (typeof choice.finish_reason === 'string') this.finishReason = choice.finish_reason
  }

  #delta(delta: Fields, piece: Piece): void {
    const shown = shownText(delta)
    this.#text += shown
    if (!this.#relay) piece.text += shown
    this.#answerBytes += shown.length
    const calls = Array.isArray(delta.tool_calls) ? delta.tool_calls.filter(isFields) : []
    for (const call of calls) this.#answerBytes += this.#calls.add(call)
    if (isFields(delta.function_call)) this.#halfFunctionCall = true
    if (shown || calls.length > 0 || isHiddenProgress(delta)) piece.visible = true
    if (this.#answerBytes > MAX_ANSWER_BYTES) this.#fail('garbage', 'The answer is too long.')
  }

  #fail(reason: ReaderFault['reason'], message: string): false {
    this.fault = { reason, message }
    return false
  }
}

function parsed(data: string): ChunkEvent | undefined {
  try {
    const event: unknown = JSON.parse(data)
    return isFields(event) ? event : undefined
  } catch {
    return undefined
  }
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

function hasChoices(event: ChunkEvent): boolean {
  return Array.isArray(event.choices) && event.choices.length > 0
}

function wireOf(event: ChunkEvent): Wire {
  const created = typeof event.created === 'number' ? event.created : 0
  return { id: String(event.id), created, model: typeof event.model === 'string' ? event.model : '' }
}

function usageOf(usage: Fields): Usage {
  const details = isFields(usage.prompt_tokens_details) ? usage.prompt_tokens_details : {}
  return {
    prompt: count(usage.prompt_tokens),
    cached: count(details.cached_tokens),
    completion: count(usage.completion_tokens),
  }
}

function count(value: unknown): number {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? Math.round(value) : 0
}
