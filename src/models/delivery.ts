import type { AnswerSink, Candidate, FailureReason } from './answer.ts'
import type { ChunkReader, Piece } from './chunk-reader.ts'
import { joinOutput } from './continuation.ts'
import type { Join } from './overlap.ts'
import { trimFrames } from './trim-frames.ts'

export interface DeliveryOptions {
  sink: AnswerSink
  mode: 'text' | 'relay'
  candidate: Candidate
  reader: ChunkReader
  /** What is visible already, by other models; the call continues it unless it is empty. */
  visible: string
  /** Why the one before stopped. */
  reason: FailureReason
}

/** Beyond so much of frames that show nothing, a provider is passed on as it comes. */
const NOTHING = Buffer.alloc(0)
const MAX_HELD_BYTES = 1024 * 1024

/**
 * Brings the output of one call before the reader. Held back at first: in mode relay what comes before the first content,
 * so that a call that fails silently leaves no trace; in a continuation, what could still turn out to be said already.
 */
export class Delivery {
  readonly #options: DeliveryOptions
  readonly #continues: boolean
  #open: boolean
  #held: Buffer[] = []
  #heldBytes = 0
  #join: Join = { reset: false, skip: 0 }

  constructor(options: DeliveryOptions) {
    this.#options = options
    this.#continues = options.visible !== ''
    this.#open = !this.#continues && options.mode === 'text'
  }

  piece(piece: Piece): void {
    if (!this.#open) return this.#hold(piece)
    const { sink } = this.#options
    if (piece.text !== '') sink.text?.(piece.text)
    else if (piece.frames) sink.frames?.(piece.frames)
  }

  /** The call has finished well: nothing is left to wait for. */
  finish(): void {
    if (!this.#open) this.#release(true)
  }

  /** All visible text, that of the models before included. */
  get visible(): string {
    const { visible, reader } = this.#options
    if (!this.#open) return visible
    return this.#join.reset ? reader.text() : visible + reader.text().slice(this.#join.skip)
  }

  /** Whether the caller has half of a tool call, which no other model can complete. */
  get brokeToolCall(): boolean {
    return this.#options.mode === 'relay' && this.#open && this.#options.reader.halfToolCall
  }

  /** Whether anything of this call is visible. */
  get spoke(): boolean {
    return this.#open && this.#options.reader.text() !== ''
  }

  #hold(piece: Piece): void {
    if (piece.frames) {
      this.#held.push(piece.frames)
      this.#heldBytes += piece.frames.length
    }
    const { mode, reader } = this.#options
    const tooMuch = this.#heldBytes > MAX_HELD_BYTES
    if (piece.visible || tooMuch) this.#release(tooMuch || (mode === 'relay' && reader.halfToolCall))
  }

  /** Lets the held go, if it can be told how it joins the visible text. */
  #release(ended: boolean): void {
    const { sink, mode, candidate, reader, visible, reason } = this.#options
    const output = reader.text()
    if (this.#continues) {
      const join = joinOutput(candidate.spec.continuation, visible, output, ended)
      if (!join) return
      this.#join = join
      sink.speaker?.(candidate)
      sink.seam({ model: candidate.name, reason, reset: join.reset })
    }
    this.#open = true
    const skip = this.#join.reset ? 0 : this.#join.skip
    if (mode === 'relay') this.#releaseFrames(skip)
    else if (output.length > skip) sink.text?.(output.slice(skip))
  }

  #releaseFrames(skip: number): void {
    const [only = NOTHING] = this.#held
    const frames = trimFrames(this.#held.length > 1 ? Buffer.concat(this.#held) : only, skip)
    this.#held = []
    if (frames.length > 0) this.#options.sink.frames?.(frames)
  }
}
