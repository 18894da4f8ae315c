import { randomUUID } from 'node:crypto'
import type { Clock } from '#platform/clock.ts'
import type { ByteHandler, Flight, Provider, ProviderCall } from '../provider.ts'
import { type Script, scriptOf } from './events.ts'
import { createPacer, type Paced } from './pacer.ts'
import { replyTo } from './reply.ts'

const TOKENS_PER_SECOND = 60

/**
 * A model that needs nothing: a deterministic program which answers from the conversation and its instructions, calls the
 * functions it is offered when asked to, and streams like a provider does.
 */
export function offline(clock: Clock): Provider {
  const pacer = createPacer(clock)
  return {
    open: ({ spec, body }: ProviderCall, handler: ByteHandler): Flight => {
      const wire = {
        id: `chatcmpl-offline-${randomUUID()}`,
        created: Math.floor(clock.now() / 1000),
        model: spec.model ?? 'offline',
      }
      const request = { ...body, ...spec.extraBody }
      const script = scriptOf(replyTo(request), wire, request)
      const flight = new OfflineFlight(script, spec.pace ?? TOKENS_PER_SECOND, handler)
      pacer.add(flight)
      return flight
    },
    probe: async () => {},
    close: async () => pacer.stop(),
  }
}

class OfflineFlight implements Flight, Paced {
  readonly #script: Script
  readonly #tokensPerMs: number
  readonly #handler: ByteHandler
  #startedAt: number | undefined
  #sent = 0
  #paused = false
  #aborted = false

  constructor(script: Script, tokensPerSecond: number, handler: ByteHandler) {
    this.#script = script
    this.#tokensPerMs = tokensPerSecond / 1000
    this.#handler = handler
  }

  abort(): void {
    this.#aborted = true
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
  }

  advance(nowMs: number): boolean {
    if (this.#aborted) return false
    if (this.#paused) return true
    const { opening, length, closing } = this.#script
    let frames = ''
    if (this.#startedAt === undefined) {
      this.#startedAt = nowMs
      frames = opening
      this.#handler.started()
    }
    const due = Math.min(length, 1 + Math.floor((nowMs - this.#startedAt) * this.#tokensPerMs))
    while (this.#sent < due) frames += this.#script.token(this.#sent++)
    const atEnd = this.#sent === length
    if (atEnd) frames += closing
    // The handler may abort at any of these calls.
    if (frames !== '' && !this.#aborted) this.#handler.data(Buffer.from(frames))
    if (!atEnd || this.#aborted) return !this.#aborted
    this.#handler.end()
    return false
  }
}
