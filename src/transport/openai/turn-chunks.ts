import { dataOf } from '#chat/event-codec.ts'
import { isTerminal, type TurnEvent } from '#chat/turn-events.ts'
import { ParleyError } from '#errors.ts'
import type { Wire } from '#models/chunk-reader.ts'
import { encodeFrame } from '#models/encode-frame.ts'
import { DONE, usageFrame } from './frames.ts'
import { completedTurn, isOf } from './turn-of-request.ts'

/** The events of a turn as chat completion chunks: its text, and at its end the calls of the caller's own tools. */
export class TurnChunks {
  /** Who spoke first. */
  model: string | undefined
  readonly #wire: Wire
  readonly #includeUsage: boolean
  #opened = false
  /** Characters of text so far; and whether any of them belong to the step that runs now, and could be taken back. */
  #shown = 0
  #stepShown = false

  constructor(wire: Wire, includeUsage: boolean) {
    this.#wire = wire
    this.#includeUsage = includeUsage
  }

  /** None for what a caller does not see. Throws what the answer fails of. */
  framesOf(event: TurnEvent): readonly (Buffer | string)[] {
    if (isOf(event, 'token')) {
      const { text, model } = dataOf(event)
      this.model ??= model
      return this.#text(text)
    }
    // The text that was lost with the log is told whole, from its start.
    if (isOf(event, 'snapshot')) return this.#text(dataOf(event).text.slice(this.#shown))
    if (isOf(event, 'call')) this.#stepShown = false
    if (isOf(event, 'segment') && dataOf(event).reset && this.#stepShown) throw new ParleyError('model_interrupted')
    return isTerminal(event.type) ? this.#end(event) : []
  }

  #text(content: string): readonly Buffer[] {
    if (content === '') return []
    this.#shown += content.length
    this.#stepShown = true
    return [...this.#opening(), encodeFrame(this.#wire, { content })]
  }

  #end(event: TurnEvent): readonly (Buffer | string)[] {
    const { finish, toolCalls, receipt } = completedTurn(event)
    const calls = toolCalls?.map((call, index) => ({ index, ...call }))
    return [
      ...this.#opening(),
      ...(calls ? [encodeFrame(this.#wire, { tool_calls: calls })] : []),
      encodeFrame(this.#wire, {}, finish),
      ...(this.#includeUsage ? [usageFrame(this.#wire, receipt.segments)] : []),
      DONE,
    ]
  }

  #opening(): readonly Buffer[] {
    if (this.#opened) return []
    this.#opened = true
    return [encodeFrame(this.#wire, { role: 'assistant', content: '' })]
  }
}
