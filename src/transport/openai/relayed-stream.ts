import { type LimitFigures, ParleyError } from '#errors.ts'
import type { AnswerSink, Candidate, Seam, Segment } from '#models/answer.ts'
import type { Wire } from '#models/chunk-reader.ts'
import type { EventStream } from '../event-stream.ts'
import { limitHeaders } from '../limit-headers.ts'
import { type CompletionCall, failStream, openCompletionStream } from './completion-call.ts'
import { DONE, usageFrame } from './frames.ts'

/** Streams the answer of a route: the provider's own bytes, from the first frames on. */
export async function streamRelayed(call: CompletionCall): Promise<void> {
  const { chat, principal, asked, over, reply, clock, limits } = call
  const { to, messages, parameters } = asked
  const sink = new RelayedStream(call)
  // A model may think for long; whatever stands in between should not take its silence for the end.
  const callOff = clock.after(limits.heartbeatMs, () => sink.open())
  try {
    const traceparent = reply.request.traceparent ?? undefined
    const onLimits = (limits: LimitFigures) => void reply.headers(limitHeaders(limits))
    const request = { to, messages, parameters, abort: over, traceparent, onLimits }
    const { wire } = await chat.relay(principal, request, sink)
    sink.complete(wire)
  } catch (error) {
    sink.fail(error)
  } finally {
    callOff()
  }
}

/**
 * unopened → open: the first frames, the end of an answer that has none, or a long silence. Until then a failure is a response
 * of its own.
 * open     → ended: complete, or failed, or a seam that takes back what is shown already.
 */
class RelayedStream implements AnswerSink {
  readonly #call: CompletionCall
  readonly #segments: Segment[] = []
  #speaker: string | undefined
  #flow: { pause(): void; resume(): void } | undefined
  #held = false
  #stream: EventStream | undefined
  /** Whether the caller has anything that could be taken back. */
  #shown = false

  constructor(call: CompletionCall) {
    this.#call = call
  }

  open(): EventStream {
    this.#stream ??= openCompletionStream(this.#call, this.#speaker)
    return this.#stream
  }

  speaker({ name }: Candidate): void {
    this.#speaker = name
  }

  flow(flow: { pause(): void; resume(): void }): void {
    this.#flow = flow
  }

  frames(frames: Buffer): void {
    const stream = this.open()
    this.#shown = true
    stream.write(frames)
    if (stream.needsDrain && !this.#held) this.#hold(stream)
  }

  seam({ reset }: Seam): void {
    if (!reset || !this.#stream || !this.#shown) return
    const takenBack = new ParleyError('model_interrupted')
    failStream(this.#call, this.#stream, takenBack)
    this.#call.over.abort(takenBack)
  }

  ended(segment: Segment): void {
    this.#segments.push(segment)
  }

  complete(wire: Wire): void {
    const { asked } = this.#call
    const stream = this.open()
    stream.write(asked.includeUsage ? usageFrame(wire, this.#segments) + DONE : DONE)
    stream.end()
  }

  fail(thrown: unknown): void {
    if (!this.#stream) throw thrown
    failStream(this.#call, this.#stream, thrown)
  }

  /** Holds the provider back until the reader has caught up. */
  #hold(stream: EventStream): void {
    this.#held = true
    this.#flow?.pause()
    void stream.drained().then(() => {
      this.#held = false
      this.#flow?.resume()
    })
  }
}
