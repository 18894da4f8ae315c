import type { OutgoingHttpHeaders } from 'node:http'
import type { ParleyError } from '#errors.ts'

/** A response that goes on. What is written in one tick leaves in one chunk and one write. */
export interface EventStream {
  /** Whole frames, as text or as UTF-8 bytes that nobody changes afterwards. Ignored once ended or closed. */
  write(chunk: string | Buffer): void
  /** The reader takes less than is written: await `drained` before writing more. */
  readonly needsDrain: boolean
  /** Resolves when there is room again, and also when the stream is over. */
  drained(): Promise<void>
  end(): void
  /**
   * Aborts when the stream is over before `end`: the reader was too slow (`slow_consumer`), its credential expired
   * (`unauthenticated`), the server closes (`shutting_down`), or the reader left (any other reason).
   */
  readonly closed: AbortSignal
}

export interface EventStreamOptions {
  headers?: OutgoingHttpHeaders
  /** What a reader is told, in the words of the surface, before it is cut off or the server closes. */
  farewell(reason: ParleyError): string
}
